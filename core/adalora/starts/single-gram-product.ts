import type { Backend, HostArray } from "../../backend.ts";

/** Products with MᵀM in f32; M stays on the backend until disposal. */
export interface SingleGramProduct extends Disposable {
  /** Returns MᵀM x / s² for each vector x, [v] of [c]; s is the largest magnitude in M. */
  readonly of: (vectors: readonly Float64Array[]) => Float64Array[];
}

/**
 * Uploads M for products in the backend's master type, f32, scaled to a largest magnitude of 1 so
 * that squares do not overflow. rows: [n], M's rows, [c] each.
 */
export function singleGramProduct(
  backend: Backend,
  rows: readonly Float64Array[],
): SingleGramProduct {
  const [n, c] = [rows.length, rows[0]?.length ?? 0];
  const matrix = backend.alloc(backend.master, n * c);
  backend.upload(matrix, flattened(rows, 1 / (largestMagnitude(rows) || 1)));
  return {
    of(vectors) {
      const v = vectors.length;
      const x = backend.alloc(backend.master, v * c);
      const y = backend.alloc(backend.master, n * v);
      backend.upload(x, flattened(vectors, 1));
      backend.gemm(matrix, x, y, { m: n, n: v, k: c, transB: true });
      backend.gemm(y, matrix, x, { m: v, n: c, k: n, transA: true });
      const products = split(backend.download(x), c);
      for (const buffer of [x, y]) backend.free(buffer);
      return products;
    },
    [Symbol.dispose]: () => backend.free(matrix),
  };
}

// --- internal ---

function flattened(rows: readonly Float64Array[], scale: number): Float32Array {
  const c = rows[0]?.length ?? 0;
  const flat = new Float32Array(rows.length * c);
  for (const [r, row] of rows.entries())
    for (let i = 0; i < c; i++) flat[r * c + i] = scale * row[i]!;
  return flat;
}

function split(flat: HostArray, c: number): Float64Array[] {
  return Array.from(
    { length: flat.length / c },
    (_, r) => new Float64Array(flat.subarray(r * c, (r + 1) * c)),
  );
}

function largestMagnitude(rows: readonly Float64Array[]): number {
  let largest = 0;
  for (const row of rows)
    for (let i = 0; i < row.length; i++) {
      const magnitude = Math.abs(row[i]!);
      if (magnitude > largest) largest = magnitude;
    }
  return largest;
}
