import { errors } from "../errors.ts";
import type { StoredDtype, StoredTensor } from "./stored-tensor.ts";

type FloatArray = Float32Array | Float64Array;

/**
 * The float32 bits of the float16 with bits `half`: sign, 5-bit exponent, 10-bit fraction → 1, 8,
 * 23.
 */
function widenHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 31) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: shift the leading one into the implicit bit.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

let halfBits: Uint32Array | undefined;

/** The float32 bits of all 65,536 halves (256 KiB), computed once. */
function halfTable(): Uint32Array {
  halfBits ??= Uint32Array.from({ length: 65_536 }, (_, half) => widenHalf(half));
  return halfBits;
}

/**
 * Copies the bytes when their start is not a multiple of the element size, as typed arrays require.
 */
function aligned(bytes: Uint8Array, elementSize: number): Uint8Array {
  return bytes.byteOffset % elementSize === 0 ? bytes : bytes.slice();
}

function asUint16(bytes: Uint8Array): Uint16Array {
  const { buffer, byteOffset, byteLength } = aligned(bytes, 2);
  return new Uint16Array(buffer, byteOffset, byteLength / 2);
}

function asFloat32(bytes: Uint8Array): Float32Array {
  const { buffer, byteOffset, byteLength } = aligned(bytes, 4);
  return new Float32Array(buffer, byteOffset, byteLength / 4);
}

function asFloat64(bytes: Uint8Array): Float64Array {
  const { buffer, byteOffset, byteLength } = aligned(bytes, 8);
  return new Float64Array(buffer, byteOffset, byteLength / 8);
}

function widenHalves(bytes: Uint8Array): Float32Array {
  const halves = asUint16(bytes);
  const table = halfTable();
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = table[halves[i]!]!;
  return new Float32Array(bits.buffer);
}

function widenBfloats(bytes: Uint8Array): Float32Array {
  const halves = asUint16(bytes);
  const bits = new Uint32Array(halves.length);
  // bfloat16 is the upper half of a float32.
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  return new Float32Array(bits.buffer);
}

const CONVERSIONS: Partial<Record<StoredDtype, (bytes: Uint8Array) => FloatArray>> = {
  F64: asFloat64,
  F32: asFloat32,
  F16: widenHalves,
  BF16: widenBfloats,
};

function toFloats({ dtype, shape, bytes }: StoredTensor, where: string): FloatArray {
  const convert = CONVERSIONS[dtype];
  if (convert !== undefined) return convert(bytes);
  const found = `${dtype} [${shape.join(", ")}]`;
  throw errors.file(where, `must have a floating-point dtype, got ${found}`);
}

/**
 * The values as float32: exact from F16, BF16 and F32, rounded from F64. The result for an F32
 * tensor may be a view of the file and must not be written to. Throws an AdaloraError, naming
 * `where`, for an integer dtype.
 */
export function toFloat32(tensor: StoredTensor, where = "tensor"): Float32Array {
  const values = toFloats(tensor, where);
  return values instanceof Float32Array ? values : new Float32Array(values);
}

/**
 * The values as float64, always exact. The result for an F64 tensor may be a view of the file and
 * must not be written to.
 */
export function toFloat64(tensor: StoredTensor, where = "tensor"): Float64Array {
  const values = toFloats(tensor, where);
  return values instanceof Float64Array ? values : new Float64Array(values);
}

/**
 * Writes the values of a floating-point tensor's bytes into `to`, exactly. For streams: it allocates
 * no memory in proportion to the values, where `toFloat64` does.
 */
export function copyFloats(
  { dtype, bytes }: Pick<StoredTensor, "dtype" | "bytes">,
  to: Float64Array,
): void {
  if (dtype === "F32") to.set(asFloat32(bytes));
  else if (dtype === "F64") to.set(asFloat64(bytes));
  else if (dtype === "F16") copyHalves(asUint16(bytes), halfTable(), to);
  else if (dtype === "BF16") copyHalves(asUint16(bytes), undefined, to);
  else throw errors.file("tensor", `must have a floating-point dtype, got ${dtype}`);
}

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** Widens by the table of all halves, or bfloat16 without one. */
function copyHalves(from: Uint16Array, table: Uint32Array | undefined, to: Float64Array): void {
  for (let i = 0; i < from.length; i++) {
    singleBits[0] = table === undefined ? from[i]! << 16 : table[from[i]!]!;
    to[i] = single[0]!;
  }
}
