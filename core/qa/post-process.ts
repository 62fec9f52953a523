import type { SquadExample } from "../data/squad-question.ts";
import { invariant } from "../errors.ts";
import { codePoints } from "../text/code-points.ts";
import type { ValidationFeatures } from "./features.ts";
import { type LogitRows, nullSpan, type Span, spansOf, type SpanLimits } from "./spans.ts";

/** How answers are extracted from logits. */
export interface PostProcessOptions extends SpanLimits {
  /** Whether questions may be unanswerable, as in SQuAD 2.0. */
  readonly unanswerable: boolean;
  /** Predict "no answer" when its score exceeds the best span's by more than this. */
  readonly nullThreshold: number;
}

/** A possible answer. */
export interface Candidate {
  readonly text: string;
  readonly startLogit: number;
  readonly endLogit: number;
  /** Softmax over the candidates of the question. */
  readonly probability: number;
}

/** A question's prediction. */
export interface PredictedAnswer {
  readonly id: string;
  /** Empty: no answer. Verbatim from the context, including a space before the first word. */
  readonly text: string;
  /** Best first. */
  readonly candidates: readonly Candidate[];
  /** The best candidate with a text. */
  readonly best: Candidate;
  /**
   * Score of "no answer" minus the score of `best`; absent unless questions may be unanswerable.
   */
  readonly nullOdds?: number;
}

/**
 * Extracts one answer per example from logits, exactly as the reference's
 * postprocess_qa_predictions. start, end: the logits of every window.
 */
export function postProcess(
  examples: readonly SquadExample[],
  features: ValidationFeatures,
  start: LogitRows,
  end: LogitRows,
  options: PostProcessOptions,
): PredictedAnswer[] {
  const windows = windowsByExample(features.exampleOf, examples.length);
  return examples.map(({ id, context }, e) => {
    const spans: Span[] = [];
    let noAnswer: Span | undefined;
    for (const f of windows[e] ?? []) {
      const [starts, ends] = [start[f], end[f]];
      invariant(starts !== undefined && ends !== undefined, `window ${f} has no logits`);
      const none = nullSpan(starts, ends);
      // The minimum over windows: every window must vote for "no answer".
      if (noAnswer === undefined || noAnswer.score > none.score) noAnswer = none;
      spans.push(...spansOf(features, f, starts, ends, options));
    }
    invariant(noAnswer !== undefined, `example ${e} has no window`);
    return { id, ...answerOf(context, spans, noAnswer, options) };
  });
}

// --- internal ---

function windowsByExample(exampleOf: Int32Array, count: number): readonly (readonly number[])[] {
  const windows: number[][] = Array.from({ length: count }, () => []);
  exampleOf.forEach((example, f) => windows[example]?.push(f));
  return windows;
}

function answerOf(
  context: string,
  spans: readonly Span[],
  noAnswer: Span,
  { unanswerable, nBest, nullThreshold }: PostProcessOptions,
): Omit<PredictedAnswer, "id"> {
  const all = unanswerable ? [...spans, noAnswer] : spans;
  const kept = all.toSorted((a, b) => b.score - a.score).slice(0, nBest);
  const isNull = ({ offsets: [from, to] }: Span) => from === 0 && to === 0;
  if (unanswerable && !kept.some(isNull)) kept.push(noAnswer);
  const candidates = withProbabilities(kept, context);
  const best = candidates.find(({ text }) => text !== "") ?? candidates[0];
  invariant(best !== undefined, "no candidate, not even the placeholder");
  if (!unanswerable) return { text: candidates[0]?.text ?? "", candidates, best };
  const nullOdds = Math.fround(Math.fround(noAnswer.score - best.startLogit) - best.endLogit);
  return { text: nullOdds > nullThreshold ? "" : best.text, candidates, best, nullOdds };
}

// The reference's placeholder where no span of the context is a candidate.
const placeholder: Span & { readonly text: string } = {
  text: "empty",
  offsets: [0, 0],
  score: 0,
  startLogit: 0,
  endLogit: 0,
};

/** The text of each span, and its probability: the softmax of the scores. */
function withProbabilities(spans: readonly Span[], context: string): Candidate[] {
  const points = codePoints(context);
  const texts = spans.map((span) => ({ ...span, text: points.slice(...span.offsets) }));
  const [only] = texts;
  if (only === undefined || (texts.length === 1 && only.text === "")) texts.unshift(placeholder);
  const highest = Math.max(...texts.map(({ score }) => score));
  const weights = texts.map(({ score }) => Math.exp(score - highest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return texts.map(({ text, startLogit, endLogit }, i) => ({
    text,
    startLogit,
    endLogit,
    probability: weights[i]! / total,
  }));
}
