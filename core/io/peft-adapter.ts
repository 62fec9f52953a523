import { errors } from "../errors.ts";
import { shownShape } from "../excerpt.ts";
import type { StoredTensor } from "./stored-tensor.ts";

/**
 * The factors A and B of one adapted linear layer [out, in]; `path` is the layer's name in the base
 * model.
 */
interface LowRankPair {
  readonly path: string;
  /** [rank, in] */
  readonly A: StoredTensor;
  /** [out, rank] */
  readonly B: StoredTensor;
}

/**
 * One layer of an AdaLoRA adapter: W + alpha / (initRank + 1e-5) * B diag(E) A, kept triplets only.
 */
export interface AdaLoraModule extends LowRankPair {
  /** [rank, 1] */
  readonly E: StoredTensor;
  /** Which of the initRank triplets were kept; `rank` of them are true. Rank 0 is legal. */
  readonly mask: readonly boolean[];
}

/** One layer of a LoRA adapter: W + alpha / rank * B A. */
export interface LoraModule extends LowRankPair {
  readonly alpha: number;
}

interface AdapterBase {
  /** PEFT's task type, such as "SEQ_CLS", "QUESTION_ANS" or "SEQ_2_SEQ_LM"; null for none. */
  readonly taskType: string | null;
  /** Folder or hub name of the base model; null when unknown. */
  readonly baseModel: string | null;
  /** The base model's branch, tag or commit on the hub; null or absent for none. */
  readonly revision?: string | null | undefined;
  readonly dropout: number;
  /** Fully trained tensors (a classification head) by their names in the base model. */
  readonly saved: ReadonlyMap<string, StoredTensor>;
}

/** An AdaLoRA adapter with its training schedule, named like this program's flags. */
export interface AdaLoraAdapter extends AdapterBase {
  readonly method: "adalora";
  readonly modules: readonly AdaLoraModule[];
  readonly alpha: number;
  readonly initRank: number;
  /** Average rank per layer that the budget aimed at. */
  readonly targetRank: number;
  readonly initWarmup: number;
  readonly finalWarmup: number;
  readonly maskInterval: number;
  readonly totalSteps: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly regOrthCoef: number;
}

/** A LoRA adapter. */
export interface LoraAdapter extends AdapterBase {
  readonly method: "lora";
  readonly modules: readonly LoraModule[];
}

/** An adapter of a type that this program reads and writes. */
export type PeftAdapter = AdaLoraAdapter | LoraAdapter;

const FLOAT_DTYPES = new Set(["F64", "F32", "F16", "BF16"]);

function checkTensor(
  tensor: StoredTensor,
  expected: readonly (number | undefined)[],
  where: string,
): void {
  const { dtype, shape } = tensor;
  const matches =
    shape.length === expected.length &&
    expected.every((size, i) => size === undefined || size === shape[i]);
  if (matches && FLOAT_DTYPES.has(dtype)) return;
  const expectedShape = expected.map((size) => size ?? "any").join(", ");
  const rule = `must be floating-point [${expectedShape}]`;
  throw errors.file(where, `${rule}, got ${dtype} ${shownShape(shape)}`);
}

/** A layer's tensors before its mask or alpha is known. */
type LayerTensors = LowRankPair & { readonly E?: StoredTensor };

/**
 * Requires A, B and (in AdaLoRA) E of each layer to agree in their rank. Throws an AdaloraError
 * naming `where`, the layer and both shapes.
 */
export function checkTensors(layers: readonly LayerTensors[], where: string): void {
  const seen = new Set<string>();
  for (const { path, A, B, E } of layers) {
    if (seen.has(path)) throw errors.file(where, `describes "${path}" twice`);
    seen.add(path);
    const rank = A.shape[0] ?? 0;
    checkTensor(A, [rank, undefined], `${where}: "${path}.lora_A"`);
    checkTensor(B, [undefined, rank], `${where}: "${path}.lora_B"`);
    if (E !== undefined) checkTensor(E, [rank, 1], `${where}: "${path}.lora_E"`);
  }
}

/**
 * The mask of a layer whose tensors have been checked: the given one, or without one all of
 * `initRank`. Throws an AdaloraError unless it keeps as many triplets as the tensors have.
 */
export function maskOf(
  { path, A }: LowRankPair,
  mask: readonly boolean[] | undefined,
  initRank: number,
  where: string,
): readonly boolean[] {
  const at = `${where}: "${path}.lora_E"`;
  if (mask !== undefined && mask.length !== initRank) {
    throw errors.file(at, `the mask must have init_r = ${initRank} values, got ${mask.length}`);
  }
  const rank = A.shape[0] ?? 0;
  const kept = mask?.filter(Boolean).length ?? initRank;
  if (kept !== rank) {
    throw errors.file(at, `the mask keeps ${kept} triplets, but the tensors have rank ${rank}`);
  }
  // Only now: a config alone may name any rank, but the tensors of this one are in the file.
  return mask ?? Array.from({ length: initRank }, () => true);
}

/**
 * Requires A, E, B and the mask of each layer to agree with each other and with the initial rank.
 * Throws an AdaloraError naming `where` (the adapter's folder), the layer, and both values.
 */
export function checkAdapter(adapter: PeftAdapter, where: string): void {
  checkTensors(adapter.modules, where);
  if (adapter.method !== "adalora") return;
  for (const module of adapter.modules) maskOf(module, module.mask, adapter.initRank, where);
}
