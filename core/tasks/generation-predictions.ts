import type { Backend } from "../backend.ts";
import { evaluationBatches } from "../data/batching.ts";
import type { SummaryExample } from "../data/summaries.ts";
import { meanRouge, rougeMetrics } from "../metrics/rouge-aggregate.ts";
import { rougeNames, rougeScores } from "../metrics/rouge.ts";
import { sentencesOnLines } from "../metrics/sentences.ts";
import type { GenerationModel } from "../model/plugin.ts";
import { ForwardPass } from "../forward-pass.ts";
import type { Evaluation, Predictions } from "./task.ts";
import { type GenerationExamples, pairsOf } from "./generation-examples.ts";
import { generationLoss } from "./generation-loss.ts";

/** What is told of an evaluation, the loss apart; the names of the field's scripts. */
export const generationMetrics: readonly string[] = [...rougeNames, "gen_len"];

/** What was written of each text of a split. */
export interface GeneratedSummaries {
  /** The split's name. */
  readonly name: string;
  readonly examples: readonly SummaryExample[];
  /** One an example, in their order, without white space around. */
  readonly texts: readonly string[];
  /** [n] tokens of each, special ones included. */
  readonly lengths: readonly number[];
  /** Of the summaries that were to be written; undefined where there are none. */
  readonly loss: number | undefined;
}

/** A summary of every text. */
export class GenerationPredictions implements Predictions {
  readonly files: ReadonlyMap<string, string> = new Map();
  readonly #written: GeneratedSummaries;

  constructor(written: GeneratedSummaries) {
    this.#written = written;
  }

  get records(): readonly { index: number; prediction: string; reference?: string }[] {
    const { examples, texts } = this.#written;
    return examples.map(({ index, summary }) => ({
      index,
      prediction: texts[index] ?? "",
      ...(summary === undefined ? {} : { reference: summary }),
    }));
  }

  /**
   * Mean ROUGE F-measures in percent, words stemmed, and the mean length in tokens: as run_summarization. Its references are cut to the
   * target length and decoded from their tokens; ours are the data's own.
   */
  evaluate(): Evaluation {
    const { name, examples, texts, lengths, loss } = this.#written;
    const references = examples.map(({ summary }) => {
      if (summary !== undefined) return sentencesOnLines(summary);
      throw new Error(`internal: split ${name} has no summaries to be scored with`);
    });
    const scores = rougeScores(texts.map(sentencesOnLines), references, { stem: true });
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    return {
      split: name,
      metrics: {
        ...rougeMetrics(meanRouge(scores)),
        gen_len: tokens / lengths.length,
      },
      loss,
      warnings: [],
      predictions: this,
    };
  }
}

/** The loss of a split's summaries, the mean over their tokens; labels are not smoothed. */
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
