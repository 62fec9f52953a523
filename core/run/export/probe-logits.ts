import type { Backend } from "../../backend.ts";
import { ForwardPass } from "../../forward-pass.ts";
import { openCheckpoint } from "../../io/checkpoint-files.ts";
import type { PeftAdapter } from "../../io/peft-adapter.ts";
import { DTYPE_BYTES, elementCount, type StoredTensor } from "../../io/stored-tensor.ts";
import { applyAdapter } from "../../model/adapter-files.ts";
import type { ReleasePages } from "../../model/export/merge.ts";
import { loadWeights, matchWeights } from "../../model/load-weights.ts";
import { isGenerationModel, type Model } from "../../model/plugin.ts";
import { packSequences, type TokenBatch } from "../../nn/packed-batch.ts";
import { packTargets } from "../../nn/source-target-batch.ts";
import type { BaseModel } from "./source.ts";

/**
 * Logits of a model on probe inputs: the base's architecture with the weights in `dir` and, if
 * given, an adapter. Frozen weights stay in their mapped file; `release` drops each one's pages
 * once the next layer is computed. A head that no file holds is initialized the same on every call.
 */
export function probeLogits(
  backend: Backend,
  base: BaseModel,
  dir: string,
  adapter: PeftAdapter | undefined,
  release: ReleasePages,
): Float64Array {
  const declared = base.declare();
  const { tree, plugin, model } = declared;
  const { tensors } = openCheckpoint(dir);
  const supplied = new Set(adapter?.saved.keys());
  loadWeights(backend, tree, tensors, plugin, { where: dir, seed: 0, supplied });
  if (adapter) applyAdapter(backend, declared, adapter, dir);
  const { found } = matchWeights(tree, tensors, plugin, dir, supplied);
  const onInput = releasing((path) => {
    const weight = tree.linears.get(path)?.weight;
    const tensor = weight && found.get(weight);
    if (tensor) release(tensor.bytes);
  });
  let logits = new Float64Array(0);
  const pass = new ForwardPass(backend, { training: false, onInput });
  pass.scope(() => {
    const { buffer } = model.forward(pass, probeBatch(base, model));
    logits = Float64Array.from(backend.download(buffer));
  });
  for (const { bytes } of found.values()) release(bytes);
  return logits;
}

/** Bytes of the f32 copies of a model's weights that are stored in another dtype. */
export function convertedBytes(dir: string): number {
  const sizeOf = ({ dtype, shape }: StoredTensor) =>
    dtype === "F32" ? 0 : elementCount(shape) * DTYPE_BYTES.F32;
  return [...openCheckpoint(dir).tensors.values()].reduce((sum, one) => sum + sizeOf(one), 0);
}

// --- internal ---

/** Calls `release` for each module once another one has been reached. */
function releasing(release: (path: string) => void): (path: string) => void {
  let before: string | undefined;
  return (path) => {
    if (before !== undefined && before !== path) release(before);
    before = path;
  };
}

const LENGTHS = [7, 16, 3, 12];

/** Four sequences of tokens spread over the vocabulary, and targets where the model has them. */
function probeBatch({ plugin, config }: BaseModel, model: Model): TokenBatch {
  const { vocabSize, maxLength } = plugin.limits(config);
  const sentence = (length: number, b: number) =>
    Array.from(
      { length: Math.min(length, maxLength) },
      (_, i) => (1 + i * 7919 + b * 104_729) % vocabSize,
    );
  const batch = packSequences(LENGTHS.map(sentence));
  if (!isGenerationModel(model)) return batch;
  const targets = LENGTHS.map((length, b) => sentence(Math.ceil(length / 4), b + 10));
  return { ...batch, ...packTargets(targets, model.special) };
}
