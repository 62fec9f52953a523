/** x · y */
export function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

/** y += scale * x */
export function addScaled(y: Float64Array, x: Float64Array, scale: number): void {
  for (let i = 0; i < y.length; i++) y[i]! += scale * x[i]!;
}

/** Σ coefficient * vector, over at least one vector. */
export function combination(
  vectors: readonly Float64Array[],
  coefficients: ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(vectors[0]?.length ?? 0);
  for (const [i, vector] of vectors.entries()) addScaled(out, vector, coefficients[i]!);
  return out;
}
