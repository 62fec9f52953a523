import type { SquadExample } from "../data/squad-question.ts";
import { invariant } from "../errors.ts";
import { codePoints } from "../text/code-points.ts";
import type { ValidationFeatures } from "./features.ts";
import { type LogitRows, nullSpan, type Span, spansOf, type SpanLimits } from "./spans.ts";

export interface PostProcessOptions extends SpanLimits {
  /** Whether "there is no answer" is an answer: SQuAD 2.0. */
  readonly unanswerable: boolean;
  /** No answer is predicted where it scores more than this above the best span. */
  readonly nullThreshold: number;
}

/** The reference's settings. */
export const defaultPostProcessing = {
  nBest: 20,
  maxAnswerLength: 30,
  nullThreshold: 0,
} as const;

/** A possible answer. */
export interface Candidate {
  readonly text: string;
  readonly startLogit: number;
  readonly endLogit: number;
  /** Among the candidates of its question. */
  readonly probability: number;
}

/** What is predicted for a question. */
export interface PredictedAnswer {
  readonly id: string;
  /** Empty: there is no answer. As the context has it, the space before the first word included. */
  readonly text: string;
  /** The best first. */
  readonly candidates: readonly Candidate[];
  /** The best candidate that is an answer. */
  readonly best: Candidate;
  /** By how much "there is no answer" scores above `best`; absent where every question has an answer. */
  readonly nullOdds?: number;
}

/**
 * Answers from logits, one an example: postprocess_qa_predictions of the reference, number by number. start, end: the
 * logits of every window.
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
      // the least of all windows: every one of them must want no answer
      if (noAnswer === undefined || noAnswer.score > none.score) noAnswer = none;
      spans.push(...spansOf(features, f, starts, ends, options));
    }
    invariant(noAnswer !== undefined, `example ${e} has no window`);
    return { id, ...answerOf(context, spans, noAnswer, options) };
  });
}

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
  invariant(best !== undefined, "no candidate, not even the stand-in");
  if (!unanswerable) return { text: candidates[0]?.text ?? "", candidates, best };
  const nullOdds = Math.fround(Math.fround(noAnswer.score - best.startLogit) - best.endLogit);
  return { text: nullOdds > nullThreshold ? "" : best.text, candidates, best, nullOdds };
}

// The reference's own words where no span of the context survives.
const standIn: Span & { readonly text: string } = {
  text: "empty",
  offsets: [0, 0],
  score: 0,
  startLogit: 0,
  endLogit: 0,
};

/** Texts and the softmax of the scores. */
function withProbabilities(spans: readonly Span[], context: string): Candidate[] {
  const points = codePoints(context);
  const texts = spans.map((span) => ({ ...span, text: points.slice(...span.offsets) }));
  const [only] = texts;
  if (only === undefined || (texts.length === 1 && only.text === "")) texts.unshift(standIn);
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
