/** The longest wave of each phase so far: conformance cases ask for the same ones many times. */
const waves = new Map<number, Float64Array>();

/**
 * Values without a pattern that a wrong stride, sign or permutation would preserve. The array is
 * shared: don't write to it.
 */
export function wave(length: number, phase: number): Readonly<Float64Array> {
  const known = waves.get(phase);
  if (known && known.length >= length) return known.subarray(0, length);
  const values = new Float64Array(length);
  for (let i = 0; i < length; i++) values[i] = Math.sin(1.7 * i + phase) + 0.1 * Math.cos(0.3 * i);
  waves.set(phase, values);
  return values;
}
