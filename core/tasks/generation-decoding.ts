import type { Backend } from "../backend.ts";
import { tokensOf } from "../data/token-cache.ts";
import { generate } from "../generation/generate.ts";
import { generationOptions, type GenerationOptions } from "../generation/options.ts";
import type { TokenizeOptions } from "../model/model-files.ts";
import type { GenerationModel } from "../model/plugin.ts";
import { buildTokenizer } from "../text/load-tokenizer.ts";
import { strip } from "../text/white-space.ts";
import type { GenerationExamples } from "./generation-examples.ts";
import { GenerationPredictions, meanTokenLoss } from "./generation-predictions.ts";
import type { TaskOptions } from "./task-options.ts";
import type { PredictOptions } from "./task.ts";

/** The user's decoding options; null: the model's own. */
export type DecodingSettings = Pick<
  TaskOptions,
  | "maxTargetLength"
  | "minTargetLength"
  | "numBeams"
  | "lengthPenalty"
  | "beamStopping"
  | "noRepeatNgram"
>;

/**
 * The model's options with the user's overrides. Throws E_CONFIG if the model's files require
 * something unsupported, such as sampling.
 */
export function decodingOptions(
  { rawConfig, generationConfig }: TokenizeOptions,
  settings: DecodingSettings,
): GenerationOptions {
  const { beamStopping } = settings;
  return generationOptions(rawConfig, generationConfig, {
    maxLength: settings.maxTargetLength,
    minLength: settings.minTargetLength ?? undefined,
    numBeams: settings.numBeams ?? undefined,
    numReturnSequences: 1,
    lengthPenalty: settings.lengthPenalty ?? undefined,
    noRepeatNgramSize: settings.noRepeatNgram ?? undefined,
    earlyStopping: earlyStoppingValues[beamStopping ?? "unset"],
  });
}

/** A tokenized split, and how its summaries are generated. */
interface SplitToSummarize {
  readonly set: GenerationExamples;
  readonly files: TokenizeOptions;
  readonly options: GenerationOptions;
}

/**
 * Generates a summary of each text of a split; with reference summaries, also computes their loss.
 */
export async function generateSummaries(
  backend: Backend,
  model: GenerationModel,
  { set, files, options }: SplitToSummarize,
  { batchSize, onBatch, stopRequested }: PredictOptions,
): Promise<GenerationPredictions> {
  const { name, examples, source, target } = set;
  const stopping = stopRequested ? { stopRequested } : {};
  const loss = target && (await meanTokenLoss(backend, model, set, { batchSize, ...stopping }));
  const sources = examples.map((_, i) => tokensOf(source, i).ids);
  const progress = onBatch ? { onBatch } : {};
  // Without any end token every summary would have the maximum length.
  const endIds = options.endIds.length > 0 ? options.endIds : [model.special.end];
  const settings = { name, batchSize, ...progress, ...stopping };
  const generated = await generate(backend, model, sources, { ...options, endIds }, settings);
  const decode = await decoderOf(files);
  return new GenerationPredictions({
    name,
    examples,
    texts: await Promise.all(generated.map(({ ids }) => decode(ids))),
    lengths: generated.map(({ ids }) => ids.length),
    loss,
  });
}

// --- internal ---

const earlyStoppingValues = {
  true: true,
  false: false,
  never: "never",
  unset: undefined,
} as const;

/** Decodes ids to text, cleaning up spaces if tokenizer_config.json asks for it. */
async function decoderOf({ tokenizer }: TokenizeOptions) {
  const cleanUpSpaces = tokenizer.config["clean_up_tokenization_spaces"] === true;
  const built = await buildTokenizer(tokenizer);
  return async (ids: readonly number[]) => strip(await built.decode(ids, { cleanUpSpaces }));
}
