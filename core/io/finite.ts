import type { StoredTensor } from "./stored-tensor.ts";

/** Words of a copied part: 64 KiB, so that a mapped file is read in passing. */
const PART = 16_384;

/** The bits of the exponent by dtype, in words of 32 bits; all are set in NaN and infinity. */
const EXPONENTS: Readonly<Record<string, readonly number[]>> = {
  F32: [0x7f800000],
  BF16: [0x7f800000, 0x00007f80],
  F16: [0x7c000000, 0x00007c00],
  F64: [0x7ff00000],
};

/** Whether no value is NaN or infinite; true for integer dtypes. */
export function isFiniteTensor({ dtype, bytes }: StoredTensor): boolean {
  const exponents = EXPONENTS[dtype];
  if (exponents === undefined) return true;
  const words = new Uint32Array(PART);
  const copy = new Uint8Array(words.buffer);
  const stride = dtype === "F64" ? 2 : 1; // the upper word of a double has its exponent
  for (let start = 0; start < bytes.length; start += copy.length) {
    const part = bytes.subarray(start, start + copy.length);
    if (part.length < copy.length) copy.fill(0);
    copy.set(part);
    const count = Math.ceil(part.length / 4);
    for (const bits of exponents) {
      for (let i = stride - 1; i < count; i += stride) {
        if ((words[i]! & bits) >>> 0 === bits) return false;
      }
    }
  }
  return true;
}
