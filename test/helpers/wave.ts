/** Values without a pattern that a wrong stride, sign or permutation would preserve. */
export function wave(length: number, phase: number): Float64Array {
  return Float64Array.from(
    { length },
    (_, i) => Math.sin(1.7 * i + phase) + 0.1 * Math.cos(0.3 * i),
  );
}
