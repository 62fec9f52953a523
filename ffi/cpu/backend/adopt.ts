import { type Pointer, ptr } from "bun:ffi";
import type { DType, HostTensor } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";
import { copyIn, dropFilePages, offsetBy } from "../../memory.ts";
import type { MemoryPool } from "../../pool.ts";
import { CpuBuffer, elementBytes } from "./buffer.ts";
import { I, type KernelType, L, P, typedKernels } from "./kernels.ts";

/** kernels/convert.c */
export const CONVERT_KERNELS = {
  adl_convert: { args: [I, P, P, L], returns: I },
} as const;

/** enum source of kernels/convert.c. */
const SOURCES: Readonly<Record<string, { code: number; bytes: number }>> = {
  F16: { code: 0, bytes: 2 },
  BF16: { code: 1, bytes: 2 },
  F64: { code: 2, bytes: 8 },
  I64: { code: 3, bytes: 8 },
  F32: { code: 4, bytes: 4 },
};

/** A kernel type's name in checkpoints. */
const storedAs: Readonly<Record<KernelType, string>> = { f32: "F32", bf16: "BF16" };

const frozen = { writable: false, adopted: true };

/**
 * Tensors of at least this size are used in place. Small typed arrays in the JS heap may move, so
 * their address must not be kept; copying them is cheap.
 */
const IN_PLACE_BYTES = 65_536;

/** Elements converted before their file pages are released: 16 MiB of floats. */
const CHUNK = 2 ** 22;

/** Opens the conversion of elements in a checkpoint's dtype or the host's. */
export function converter(library: string) {
  const kernels = typedKernels(library, CONVERT_KERNELS);
  return (stored: string, from: Pointer | Uint8Array, to: Pointer, n: number, type: KernelType) => {
    const source = SOURCES[stored];
    invariant(source !== undefined, `a tensor of ${stored} cannot become a weight`);
    kernels(type).adl_convert(source.code, from, to, n);
  };
}

/**
 * Makes checkpoint tensors read-only buffers: in place if they are large, aligned and of the target
 * dtype, otherwise converted into the pool. Large ones become bf16 on first use, chunk by chunk.
 */
export function adopter(library: string, pool: MemoryPool) {
  const convert = converter(library);

  function toBf16(stored: string, data: Pointer, bytes: number, length: number): Pointer {
    const to = pool.alloc(length * elementBytes.bf16);
    for (let first = 0; first < length; first += CHUNK) {
      const count = Math.min(CHUNK, length - first);
      const from = offsetBy(data, first * bytes);
      convert(stored, from, offsetBy(to, first * elementBytes.bf16), count, "bf16");
      dropFilePages(from, count * bytes);
    }
    return to;
  }

  return (tensor: HostTensor, dtype: DType): CpuBuffer => {
    invariant(dtype === "f32" || dtype === "bf16", `the cpu backend has no ${dtype} weights`);
    const { bytes, dtype: stored } = tensor;
    const source = SOURCES[stored];
    invariant(source !== undefined, `a tensor of ${stored} cannot become a weight`);
    const length = bytes.byteLength / source.bytes;
    const address = inPlace(bytes, source.bytes);
    if (address !== undefined && stored === storedAs[dtype])
      return new CpuBuffer(dtype, length, address, { ...frozen, keeps: bytes });
    if (address !== undefined && dtype === "bf16") {
      const floats = stored === "F32" ? address : undefined;
      const pending = { floats, convert: () => toBf16(stored, address, source.bytes, length) };
      return new CpuBuffer(dtype, length, pending, { ...frozen, keeps: bytes });
    }
    const own = pool.alloc(length * elementBytes[dtype]);
    if (stored === storedAs[dtype]) copyIn(own, bytes);
    else convert(stored, bytes, own, length, dtype);
    return new CpuBuffer(dtype, length, own, frozen);
  };
}

function inPlace(bytes: Uint8Array, alignment: number): Pointer | undefined {
  if (bytes.byteLength < IN_PLACE_BYTES) return undefined;
  const pointer = ptr(bytes);
  return pointer % alignment === 0 ? pointer : undefined;
}
