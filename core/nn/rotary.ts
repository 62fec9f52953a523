import { invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { RotaryTables } from "../kernels/rotary.ts";

/** A rotary position embedding: the base of its frequencies and the columns of a head it rotates. */
export interface Rotary {
  /** transformers' `rope_theta`. */
  readonly theta: number;
  /** An even number, at most the head's width. */
  readonly rotated: number;
}

/**
 * The cosines and sines of all positions up to the largest of `positions`, made on the host once
 * per batch. A checkpointed layer that rotates lists both buffers among its `reads`.
 *
 * Frequencies and angles are rounded to f32, as in transformers in every dtype: at position 8000 an
 * exact angle differs in the fourth digit after the point. Cosine and sine of such an angle are
 * exact to the backend's dtype; torch's own f32 functions differ in the last bit of 5 % of them.
 */
export function uploadRotary(
  pass: ForwardPass,
  positions: ArrayLike<number>,
  { theta, rotated }: Rotary,
): RotaryTables {
  invariant(rotated % 2 === 0, "columns are rotated in pairs");
  invariant(theta > 0, () => `a rotary theta must be above 0, got ${theta}`);
  const frequencies = rotaryFrequencies(theta, rotated);
  let rows = 0;
  for (let i = 0; i < positions.length; i++) rows = Math.max(rows, positions[i]! + 1);
  const half = rotated / 2;
  const [cos, sin] = [new Float64Array(rows * half), new Float64Array(rows * half)];
  for (let p = 0; p < rows; p++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(p * frequencies[i]!);
      cos[p * half + i] = Math.cos(angle);
      sin[p * half + i] = Math.sin(angle);
    }
  }
  return { cos: uploaded(pass, cos), sin: uploaded(pass, sin), rows, rotated };
}

/** theta^(-2i / rotated) for i < rotated / 2, in f32 with transformers' order of roundings. */
export function rotaryFrequencies(theta: number, rotated: number): Float32Array {
  return Float32Array.from({ length: rotated / 2 }, (_, i) => {
    const power = Math.fround(theta ** Math.fround((2 * i) / rotated));
    return 1 / power;
  });
}

function uploaded(pass: ForwardPass, values: Float64Array) {
  const buffer = pass.allocateMaster(values.length);
  pass.backend.upload(buffer, values);
  return buffer;
}
