import type { Matrix } from "../../matrix.ts";
import { copyFloats } from "../../io/float-conversion.ts";
import type { PeftAdapter } from "../../io/peft-adapter.ts";
import { DTYPE_BYTES, type StoredTensor } from "../../io/stored-tensor.ts";
import { normals, streamOf } from "../../rng.ts";
import { applyIncrement, incrementOf } from "./increment.ts";

/** The largest difference between two sides' outputs, and the largest output. */
export interface Difference {
  readonly largest: number;
  readonly scale: number;
}

/**
 * Compares the increments of two adapters, module by module, on random inputs in f64. A module that
 * one of them lacks adds nothing there.
 */
export function compareIncrements(before: PeftAdapter, after: PeftAdapter): Difference {
  const converted = new Map(after.modules.map((module) => [module.path, module]));
  return largestOf(
    before.modules.map((module) => {
      const increment = incrementOf(before, module);
      const x = probe(module.path, increment.a.cols);
      const expected = applyIncrement(increment, x).values;
      const other = converted.get(module.path);
      const got = other && applyIncrement(incrementOf(after, other), x).values;
      return difference(expected, got ?? new Float64Array(expected.length));
    }),
  );
}

/**
 * Compares merged weights with base and increment, module by module, on random inputs in f64.
 * `pairs`: the base's and the merged weight of each adapted module; `release`: called after each.
 */
export function compareMerged(
  adapter: PeftAdapter,
  pairs: (path: string) => { readonly base: StoredTensor; readonly merged: StoredTensor },
  release: (tensor: StoredTensor) => void,
): Difference {
  return largestOf(
    adapter.modules.map((module) => {
      const increment = incrementOf(adapter, module);
      const x = probe(module.path, increment.a.cols);
      const { base, merged } = pairs(module.path);
      const expected = applyWeight(base, x);
      applyIncrement(increment, x).values.forEach(
        (value, i) => (expected[i] = expected[i]! + value),
      );
      const found = difference(expected, applyWeight(merged, x));
      release(base);
      release(merged);
      return found;
    }),
  );
}

/** The largest difference of two lists of outputs; infinite where one is not finite. */
export function difference(expected: Float64Array, got: Float64Array): Difference {
  let [largest, scale] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(expected[i]! - got[i]!);
    largest = Math.max(largest, Number.isFinite(error) ? error : Infinity);
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return { largest, scale };
}

// --- internal ---

const PROBES = 2;

/** Standard normal inputs, [2, in], of a module; the same in every run. */
function probe(path: string, cols: number): Matrix {
  const values = Float64Array.from(normals(PROBES * cols, 1, 0, streamOf(path)));
  return { rows: PROBES, cols, values };
}

const largestOf = (all: readonly Difference[]): Difference => ({
  largest: Math.max(0, ...all.map(({ largest }) => largest)),
  scale: Math.max(0, ...all.map(({ scale }) => scale)),
});

/** x Wᵀ, [n, out], of a stored weight [out, in]; converts one row at a time. */
function applyWeight({ dtype, shape, bytes }: StoredTensor, x: Matrix): Float64Array {
  const [rows = 0, cols = 0] = shape;
  const rowBytes = cols * DTYPE_BYTES[dtype];
  const out = new Float64Array(x.rows * rows);
  const weights = new Float64Array(cols);
  for (let o = 0; o < rows; o++) {
    copyFloats({ dtype, bytes: bytes.subarray(o * rowBytes, (o + 1) * rowBytes) }, weights);
    for (let n = 0; n < x.rows; n++) {
      let sum = 0;
      for (let i = 0; i < cols; i++) sum += weights[i]! * x.values[n * cols + i]!;
      out[n * rows + o] = sum;
    }
  }
  return out;
}
