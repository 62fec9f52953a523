import type { Backend } from "../backend.ts";
import { evaluationBatches } from "../data/batching.ts";
import type { SummaryExample } from "../data/summaries.ts";
import { errors } from "../errors.ts";
import { ForwardPass } from "../forward-pass.ts";
import { aggregateRouge, rougeIntervals, rougeMetrics } from "../metrics/rouge-aggregate.ts";
import { rougeNames, rougeScores } from "../metrics/rouge.ts";
import { sentencesOnLines } from "../metrics/sentences.ts";
import type { GenerationModel } from "../model/plugin.ts";
import { checkStop } from "../stopped.ts";
import { type GenerationExamples, pairsOf } from "./generation-examples.ts";
import { generationLoss } from "./generation-loss.ts";
import type { Evaluation, PredictOptions, Predictions } from "./task.ts";

/** Metrics of an evaluation besides the loss, named as in run_summarization. */
export const generationMetrics: readonly string[] = [...rougeNames, "gen_len"];

/** The generated summaries of a split. */
export interface GeneratedSummaries {
  /** The split's name. */
  readonly name: string;
  readonly examples: readonly SummaryExample[];
  /** One per example, in order, trimmed. */
  readonly texts: readonly string[];
  /** [n] tokens of each, special tokens included. */
  readonly lengths: readonly number[];
  /** Loss of the reference summaries; undefined if there are none. */
  readonly loss: number | undefined;
}

/** One seed for all runs: equal summaries have equal intervals. */
const BOOTSTRAP_SEED = 0;

/** Generated summaries as predictions, one per text. */
export class GenerationPredictions implements Predictions {
  readonly files: ReadonlyMap<string, string> = new Map();
  readonly #generated: GeneratedSummaries;

  constructor(generated: GeneratedSummaries) {
    this.#generated = generated;
  }

  get records(): readonly { index: number; prediction: string; reference?: string }[] {
    const { examples, texts } = this.#generated;
    return examples.map(({ index, summary }) => ({
      index,
      prediction: texts[index] ?? "",
      ...(summary === undefined ? {} : { reference: summary }),
    }));
  }

  /**
   * Mean ROUGE F-measures in percent, with stemming, and the mean length in tokens, as
   * run_summarization computes them. It truncates its references to the target length; ours are the
   * data's own texts.
   */
  evaluate(): Evaluation {
    const { name, examples, texts, lengths, loss } = this.#generated;
    const references = examples.map(({ summary }) => {
      if (summary !== undefined) return sentencesOnLines(summary);
      throw new Error(`internal: split ${name} has no summaries to score against`);
    });
    const scores = rougeScores(texts.map(sentencesOnLines), references, { stem: true });
    const aggregate = aggregateRouge(scores, BOOTSTRAP_SEED);
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    return {
      split: name,
      metrics: {
        ...rougeMetrics(aggregate),
        gen_len: tokens / lengths.length,
      },
      intervals: rougeIntervals(aggregate),
      loss,
      warnings: [],
      predictions: this,
    };
  }
}

/**
 * Mean loss over the tokens of a split's reference summaries, without label smoothing. Throws
 * E_NOT_FINITE, with the rows, for a loss that is not finite.
 */
export async function meanTokenLoss(
  backend: Backend,
  model: GenerationModel,
  set: GenerationExamples,
  { batchSize, stopRequested }: Pick<PredictOptions, "batchSize" | "stopRequested">,
): Promise<number> {
  let [sum, tokens] = [0, 0];
  const failing: number[] = [];
  for (const indices of evaluationBatches(set.lengths, batchSize)) {
    checkStop(stopRequested);
    const { loss, weight } = batchLoss(backend, model, set, indices);
    if (!Number.isFinite(loss)) failing.push(...failingRows(backend, model, set, indices));
    sum += weight * loss;
    tokens += weight;
    await Bun.sleep(0);
  }
  if (failing.length > 0) {
    const rows = failing.toSorted((a, b) => a - b).map(String);
    const what = "the loss of the reference summary";
    throw errors.outputNotFinite({ split: set.name, what }, rows, set.lengths.length);
  }
  return sum / tokens;
}

// --- internal ---

/** Mean loss of some examples, and the number of tokens that it is a mean over. */
function batchLoss(
  backend: Backend,
  model: GenerationModel,
  set: GenerationExamples,
  indices: ArrayLike<number>,
): { readonly loss: number; readonly weight: number } {
  const batch = pairsOf(set, indices, model.special);
  const pass = new ForwardPass(backend, { training: false });
  let loss = NaN;
  pass.scope(() => {
    const mean = generationLoss(model, { smoothing: 0 })(pass, batch);
    loss = backend.download(mean.buffer)[0] ?? NaN;
  });
  return { loss, weight: batch.weight };
}

/**
 * The rows of a failed batch whose own loss is not finite; all of them if every row's own loss is.
 */
function failingRows(
  backend: Backend,
  model: GenerationModel,
  set: GenerationExamples,
  indices: ArrayLike<number>,
): readonly number[] {
  const rows = Array.from(indices);
  const own = rows.filter((row) => !Number.isFinite(batchLoss(backend, model, set, [row]).loss));
  return own.length > 0 ? own : rows;
}
