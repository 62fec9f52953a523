import type { Backend } from "../backend.ts";
import { tokensOf } from "../data/token-cache.ts";
import { generate } from "../generation/generate.ts";
import { generationOptions, type GenerationOptions } from "../generation/options.ts";
import type { GenerationModel } from "../model/plugin.ts";
import { buildTokenizer } from "../text/load-tokenizer.ts";
import { strip } from "../text/white-space.ts";
import type { TaskOptions } from "./task-options.ts";
import type { PredictOptions } from "./task.ts";
import type { GenerationExamples } from "./generation-examples.ts";
import { GenerationPredictions, meanTokenLoss } from "./generation-predictions.ts";
import type { TokenizeOptions } from "../model/model-files.ts";

/** How summaries are written; null: as the model's own files say. */
export type DecodingSettings = Pick<
  TaskOptions,
  | "maxTargetLength"
  | "minTargetLength"
  | "numBeams"
  | "lengthPenalty"
  | "beamStopping"
  | "noRepeatNgram"
>;

/** The model's options with the user's. Throws E_CONFIG where the model's files ask for what is not built, such as sampling. */
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
    earlyStopping: beamStopping === "never" ? beamStopping : stops[beamStopping ?? "unset"],
  });
}

/** Writes a summary of each text of a split; where it has summaries, their loss is found too. */
export async function generateSummaries(
  backend: Backend,
  model: GenerationModel,
  set: GenerationExamples,
  files: TokenizeOptions,
  options: GenerationOptions,
  { batchSize, onBatch }: PredictOptions,
): Promise<GenerationPredictions> {
  const { name, examples, source, target } = set;
  const loss = target && (await meanTokenLoss(backend, model, set, batchSize));
  const sources = examples.map((_, i) => tokensOf(source, i).ids);
  const progress = onBatch ? { onBatch } : {};
  // Files that name no end have their family's; without one every text would be of the full length.
  const endIds = options.endIds.length > 0 ? options.endIds : [model.special.end];
  const settled = { ...options, endIds };
  const written = await generate(backend, model, sources, settled, { batchSize, ...progress });
  const decode = await decoderOf(files);
  return new GenerationPredictions({
    name,
    examples,
    texts: await Promise.all(written.map(({ ids }) => decode(ids))),
    lengths: written.map(({ ids }) => ids.length),
    loss,
  });
}

// --- internal ---

const stops = { true: true, false: false, unset: undefined } as const;

/** Text of ids as the tokenizer's own settings have it. */
async function decoderOf({ tokenizer }: TokenizeOptions) {
  const cleanUpSpaces = tokenizer.config["clean_up_tokenization_spaces"] === true;
  const built = await buildTokenizer(tokenizer);
  return async (ids: readonly number[]) => strip(await built.decode(ids, { cleanUpSpaces }));
}
