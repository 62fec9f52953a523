import { lengthStats, type LengthStats } from "../data/length-stats.ts";
import { AdaloraError } from "../errors.ts";
import { buildTokenizer } from "../text/load-tokenizer.ts";
import { isLibraryMissing } from "../text/native-tokenizer.ts";
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

/**
 * Describes a run's data; decodes `samples` examples, which takes the tokenizer. Without its library
 * there are none, and no lengths if it takes them from there too; `onMissing` gets the reason.
 */
export async function dataOverview(
  run: PreparedRun,
  samples: number,
  onMissing: (what: string, error: AdaloraError) => void,
): Promise<DataOverview> {
  const { train, validation, untokenized } = run;
  const splits = [train, ...validation].map(splitOverview);
  if (untokenized === undefined)
    return { splits, samples: await knownTexts(run, samples, onMissing) };
  onMissing(
    "token lengths are unknown, and needs are those of texts of the maximum length",
    untokenized,
  );
  return { splits: splits.map((split) => ({ ...split, lengths: [] })), samples: [] };
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

async function knownTexts(
  run: PreparedRun,
  samples: number,
  onMissing: (what: string, error: AdaloraError) => void,
): Promise<SampleText[]> {
  try {
    return samples === 0 ? [] : await sampleTexts(run, samples);
  } catch (error) {
    if (!(error instanceof AdaloraError) || !isLibraryMissing(error)) throw error;
    onMissing("examples are not shown", error);
    return [];
  }
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
