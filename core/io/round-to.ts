import { errors } from "../errors.ts";
import type { StoredDtype } from "./stored-tensor.ts";

/** Writes f64 values into `to` as a floating-point dtype, rounded to the nearest, ties to even. */
export function writeRounded(
  dtype: StoredDtype,
  values: Float64Array,
  to: Uint8Array,
  where: string,
): void {
  const { buffer, byteOffset } = to;
  if (dtype === "F32") new Float32Array(buffer, byteOffset, values.length).set(values);
  else if (dtype === "F64") new Float64Array(buffer, byteOffset, values.length).set(values);
  else if (dtype === "F16") new Float16Array(buffer, byteOffset, values.length).set(values);
  else if (dtype === "BF16") writeBfloat16(values, new Uint16Array(buffer, byteOffset));
  else throw errors.file(where, `must have a floating-point dtype, got ${dtype}`);
}

// --- internal ---

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

/** bfloat16 is the upper half of a float32. */
function writeBfloat16(values: Float64Array, to: Uint16Array): void {
  for (let i = 0; i < values.length; i++) {
    single[0] = values[i]!;
    const word = bits[0]!;
    const isNan = (word & 0x7fffffff) > 0x7f800000;
    to[i] = isNan ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
}
