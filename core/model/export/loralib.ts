import type { PeftAdapter } from "../../io/peft-adapter.ts";
import { float32Tensor, type StoredTensor } from "../../io/stored-tensor.ts";
import { matrixOf, tensorOf } from "./increment.ts";

/**
 * The adapter as entries of the authors' state dict, in the order of torch's modules: `lora_A`,
 * `lora_E`, `lora_B` and `ranknum` of each SVDLinear at its initial rank, with zeros in place of
 * pruned triplets; `lora_A` and `lora_B` of a LoRA layer; then the trained head.
 */
export function loralibState(adapter: PeftAdapter): ReadonlyMap<string, StoredTensor> {
  const entries: [string, StoredTensor][] = [];
  for (const module of adapter.modules) {
    const { path, A, B } = module;
    if (!("E" in module) || adapter.method !== "adalora") {
      entries.push([`${path}.lora_A`, A], [`${path}.lora_B`, B]);
      continue;
    }
    const kept = [...module.mask.keys()].filter((t) => module.mask[t]);
    entries.push(
      [`${path}.lora_A`, scatteredRows(A, kept, adapter.initRank)],
      [`${path}.lora_E`, scatteredRows(module.E, kept, adapter.initRank)],
      [`${path}.lora_B`, scatteredColumns(B, kept, adapter.initRank)],
      [`${path}.ranknum`, float32Tensor([1], Float32Array.of(adapter.initRank))],
    );
  }
  return new Map([...entries, ...adapter.saved]);
}

// --- internal ---

/** Row i of the tensor at row `places[i]` of `rows` rows, zeros elsewhere. */
function scatteredRows(
  tensor: StoredTensor,
  places: readonly number[],
  rows: number,
): StoredTensor {
  const { cols, values } = matrixOf(tensor);
  const out = new Float64Array(rows * cols);
  for (const [i, place] of places.entries()) {
    out.set(values.subarray(i * cols, (i + 1) * cols), place * cols);
  }
  return tensorOf({ rows, cols, values: out });
}

/** Column i of the tensor at column `places[i]` of `cols` columns, zeros elsewhere. */
function scatteredColumns(
  tensor: StoredTensor,
  places: readonly number[],
  cols: number,
): StoredTensor {
  const { rows, cols: found, values } = matrixOf(tensor);
  const out = new Float64Array(rows * cols);
  for (let row = 0; row < rows; row++) {
    for (const [i, place] of places.entries()) {
      out[row * cols + place] = values[row * found + i]!;
    }
  }
  return tensorOf({ rows, cols, values: out });
}
