import type { Backend } from "../backend.ts";
import { evaluationBatches } from "../data/batching.ts";
import type { SummaryExample } from "../data/summaries.ts";
import { ForwardPass } from "../forward-pass.ts";
import { aggregateRouge, rougeIntervals, rougeMetrics } from "../metrics/rouge-aggregate.ts";
import { rougeNames, rougeScores } from "../metrics/rouge.ts";
import { sentencesOnLines } from "../metrics/sentences.ts";
import type { GenerationModel } from "../model/plugin.ts";
import { type GenerationExamples, pairsOf } from "./generation-examples.ts";
import { generationLoss } from "./generation-loss.ts";
import type { Evaluation, Predictions } from "./task.ts";

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

/** Mean loss over the tokens of a split's reference summaries, without label smoothing. */
export async function meanTokenLoss(
  backend: Backend,
  model: GenerationModel,
  set: GenerationExamples,
  batchSize: number,
): Promise<number> {
  let [sum, tokens] = [0, 0];
  for (const indices of evaluationBatches(set.lengths, batchSize)) {
    const batch = pairsOf(set, indices, model.special);
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const loss = generationLoss(model, { smoothing: 0 })(pass, batch);
      sum += batch.weight * (backend.download(loss.buffer)[0] ?? NaN);
    });
    tokens += batch.weight;
    await Bun.sleep(0);
  }
  return sum / tokens;
}
