import type { Buffer, DType, HostTensor } from "../../backend.ts";
import { invariant } from "../../errors.ts";

/** The reference backend's storage, opaque outside core/backend/reference. */
export class ReferenceBuffer implements Buffer {
  readonly dtype: DType;
  readonly data: Float64Array | Int32Array;

  constructor(dtype: DType, data: Float64Array | Int32Array) {
    this.dtype = dtype;
    this.data = data;
  }

  get length(): number {
    return this.data.length;
  }
}

/** The elements of a float buffer. */
export function floats(buffer: Buffer): Float64Array {
  invariant(
    buffer instanceof ReferenceBuffer && buffer.data instanceof Float64Array,
    () => `the reference backend expected an f64 buffer, got ${buffer.dtype}`,
  );
  return buffer.data;
}

/** The elements of an integer buffer. */
export function integers(buffer: Buffer): Int32Array {
  invariant(
    buffer instanceof ReferenceBuffer && buffer.data instanceof Int32Array,
    () => `the reference backend expected an i32 buffer, got ${buffer.dtype}`,
  );
  return buffer.data;
}

/** A checkpoint's tensor as f64. */
export function widen(tensor: HostTensor): Float64Array {
  const { bytes, dtype } = tensor;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = readers[dtype];
  invariant(read, `a tensor of dtype ${dtype} cannot become a weight`);
  return Float64Array.from({ length: bytes.byteLength / read.size }, (_, i) =>
    read.at(view, i * read.size),
  );
}

interface Reader {
  readonly size: number;
  at(view: DataView, offset: number): number;
}

const readers: Readonly<Record<string, Reader>> = {
  F64: { size: 8, at: (v, o) => v.getFloat64(o, true) },
  F32: { size: 4, at: (v, o) => v.getFloat32(o, true) },
  F16: { size: 2, at: (v, o) => halfToNumber(v.getUint16(o, true)) },
  BF16: { size: 2, at: (v, o) => bfloatToNumber(v.getUint16(o, true)) },
};

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const scratch = new DataView(new ArrayBuffer(4));

function bfloatToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}
