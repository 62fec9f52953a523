import { lengthStats, type LengthStats } from "../data/length-stats.ts";
import { buildTokenizer } from "../text/load-tokenizer.ts";
import type { Dataset, Overview, TokenLengths } from "../tasks/task.ts";
import type { PreparedRun } from "./prepare.ts";

/** What a run reads. */
export interface DataOverview {
  /** The training split, then those that are evaluated. */
  readonly splits: readonly SplitOverview[];
  /** The first training examples. */
  readonly samples: readonly SampleText[];
}

/** A split of a run's data. */
export interface SplitOverview extends Pick<Overview, "classes"> {
  readonly name: string;
  readonly rows: number;
  /** Sequences that the model reads: windows on long contexts, else rows. */
  readonly features: number;
  readonly lengths: readonly LengthOverview[];
}

/** Token counts, special tokens included and before truncation. */
export interface LengthOverview extends Omit<TokenLengths, "tokens">, LengthStats {}

/** An example as the model reads it: decoded tokens, special ones included. */
export interface SampleText {
  readonly text: string;
  readonly label: string | undefined;
}

/** Describes a run's data; decodes `samples` examples, which takes the tokenizer. */
export async function dataOverview(run: PreparedRun, samples: number): Promise<DataOverview> {
  return {
    splits: [run.train, ...run.validation].map(splitOverview),
    samples: samples === 0 ? [] : await sampleTexts(run, samples),
  };
}

// --- internal ---

function splitOverview(dataset: Dataset): SplitOverview {
  const { name, rows } = dataset;
  const { classes, lengths } = dataset.overview(0);
  return {
    name,
    rows,
    features: dataset.lengths.length,
    classes,
    lengths: lengths.map(({ tokens, ...rest }) => ({ ...rest, ...lengthStats(tokens) })),
  };
}

async function sampleTexts({ train, files }: PreparedRun, count: number): Promise<SampleText[]> {
  const tokenizer = await buildTokenizer(files.tokenize.tokenizer);
  const decode = (ids: ArrayLike<number>) => tokenizer.decode(ids, { skipSpecialTokens: false });
  return Promise.all(
    train.overview(count).samples.map(async ({ ids, label }) => ({
      text: await decode(ids),
      label: label instanceof Int32Array ? await decode(label) : label,
    })),
  );
}
