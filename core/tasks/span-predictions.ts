import type { Backend } from "../backend.ts";
import { evaluationBatches } from "../data/batching.ts";
import type { SquadSet } from "../data/squad.ts";
import { ForwardPass } from "../forward-pass.ts";
import { squadMetrics, squadV2Metrics } from "../metrics/squad.ts";
import type { Model } from "../model/plugin.ts";
import { answerFiles } from "../qa/answer-files.ts";
import type { ValidationFeatures } from "../qa/features.ts";
import { postProcess, type PredictedAnswer } from "../qa/post-process.ts";
import { checkFiniteRows } from "./finite-rows.ts";
import { checkStop } from "../stopped.ts";
import { lengthsOf, packedBatch } from "./packed-features.ts";
import type { TaskOptions } from "./task-options.ts";
import type { Evaluation, PredictOptions, Predictions } from "./task.ts";

/** A split's questions and their windows. */
export interface SpanQuestions {
  readonly name: string;
  readonly set: SquadSet;
  readonly features: ValidationFeatures;
  readonly settings: Pick<TaskOptions, "nBest" | "maxAnswerLength" | "nullThreshold"> & {
    readonly unanswerable: boolean;
  };
}

/**
 * Runs the model over every window, in batches bucketed by length, and extracts an answer per
 * question. Throws E_NOT_FINITE, with the ids of the questions, for logits that are not finite.
 */
export async function predictSpans(
  backend: Backend,
  model: Model,
  questions: SpanQuestions,
  { batchSize, onBatch, stopRequested }: PredictOptions,
): Promise<Predictions> {
  const { set, features, settings } = questions;
  const { tokens, exampleOf } = features;
  const start: Float32Array[] = Array.from(exampleOf, () => new Float32Array(0));
  const end = [...start];
  let done = 0;
  for (const indices of evaluationBatches(lengthsOf(tokens), batchSize)) {
    checkStop(stopRequested);
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const batch = packedBatch(tokens, indices);
      const logits = backend.download(model.forward(pass, batch).buffer);
      indices.forEach((f, b) => {
        const [first, last] = [batch.offsets[b]!, batch.offsets[b + 1]!];
        const column = (c: number) =>
          Float32Array.from({ length: last - first }, (_, row) => logits[2 * (first + row) + c]!);
        start[f] = column(0);
        end[f] = column(1);
      });
    });
    onBatch?.((done += indices.length));
    await Bun.sleep(0);
  }
  checkStop(stopRequested);
  checkLogits(questions, start, end);
  return new SpanPredictions(questions, postProcess(set.examples, features, start, end, settings));
}

/** Predicted answers, one per question. */
class SpanPredictions implements Predictions {
  readonly #questions: SpanQuestions;
  readonly #answers: readonly PredictedAnswer[];

  constructor(questions: SpanQuestions, answers: readonly PredictedAnswer[]) {
    this.#questions = questions;
    this.#answers = answers;
  }

  /** `score` is the probability of the prediction, `probability` that of the best answer. */
  get records(): readonly object[] {
    return this.#answers.map(({ id, text, candidates, best, nullOdds }) => ({
      id,
      prediction: text,
      score: candidates.find((one) => one.text === text)?.probability,
      ...(nullOdds === undefined ? {} : { null_odds: nullOdds, best_answer: best.text }),
      probability: best.probability,
    }));
  }

  /**
   * predictions.json, nbest_predictions.json and, if questions may be unanswerable, null_odds.json.
   */
  get files(): ReadonlyMap<string, string> {
    return new Map(Object.entries(answerFiles(this.#answers)));
  }

  evaluate(): Evaluation {
    const { name, set, settings } = this.#questions;
    const pairs = this.#answers.map(({ text, best, nullOdds }, i) => {
      const answers = set.examples[i]?.answers;
      if (!answers) throw new Error(`internal: split ${name} has no answers to score against`);
      return {
        prediction: settings.unanswerable ? best.text : text,
        answers: answers.map((answer) => answer.text),
        ...(nullOdds === undefined ? {} : { noAnswer: nullOdds }),
      };
    });
    const metrics = settings.unanswerable
      ? squadV2Metrics(pairs, settings.nullThreshold)
      : { ...squadMetrics(pairs) };
    return { split: name, metrics, loss: undefined, warnings: [], predictions: this };
  }
}

/** Throws E_NOT_FINITE, with ids, for questions with a window whose logits are not finite. */
function checkLogits(
  { name, set, features: { exampleOf } }: SpanQuestions,
  start: readonly Float32Array[],
  end: readonly Float32Array[],
): void {
  const logits: number[][] = set.examples.map(() => []);
  exampleOf.forEach((example, f) => {
    const windowLogits = [...start[f]!, ...end[f]!];
    const failing = windowLogits.find((logit) => !Number.isFinite(logit));
    if (failing !== undefined) logits[example]?.push(failing);
  });
  checkFiniteRows(
    { split: name, what: "logits" },
    set.examples.length,
    (row) => logits[row] ?? [],
    (row) => set.examples[row]?.id ?? String(row),
  );
}
