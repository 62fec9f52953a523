import { type Pointer, ptr } from "bun:ffi";
import type { DType, HostTensor } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";
import { copyIn, type MemoryPool } from "../../memory.ts";
import { CpuBuffer, ELEMENT_BYTES } from "./buffer.ts";
import { I, L, openKernels, P } from "./kernels.ts";

/** kernels/convert.c */
export const CONVERT_KERNELS = {
  adl_to_f32: { args: [I, P, P, L], returns: I },
} as const;

/** enum source of kernels/convert.c. */
const SOURCES: Readonly<Record<string, { code: number; bytes: number }>> = {
  F16: { code: 0, bytes: 2 },
  BF16: { code: 1, bytes: 2 },
  F64: { code: 2, bytes: 8 },
  I64: { code: 3, bytes: 8 },
};

/**
 * From this size on bytes are used where they lie. Small typed arrays of the JS heap may move, so that an address of
 * theirs must not be kept; copying them costs nothing.
 */
const IN_PLACE_BYTES = 65_536;

/** Makes checkpoint tensors into read-only float buffers: in place for large aligned F32, else converted into the pool. */
export function adopter(library: string, pool: MemoryPool) {
  const kernels = openKernels(library, CONVERT_KERNELS);

  return (tensor: HostTensor, dtype: DType): CpuBuffer => {
    invariant(dtype === "f32", `the cpu backend has no ${dtype} weights`);
    const { bytes } = tensor;
    if (tensor.dtype === "F32") {
      const length = bytes.byteLength / ELEMENT_BYTES;
      const pointer = inPlace(bytes);
      if (pointer !== undefined) {
        return new CpuBuffer("f32", length, pointer, { writable: false, keeps: bytes });
      }
      const copy = pool.alloc(bytes.byteLength);
      copyIn(copy, bytes);
      return new CpuBuffer("f32", length, copy, { writable: false });
    }
    const source = SOURCES[tensor.dtype];
    invariant(source !== undefined, `a tensor of ${tensor.dtype} cannot become a weight`);
    const length = bytes.byteLength / source.bytes;
    const converted = pool.alloc(length * ELEMENT_BYTES);
    kernels.adl_to_f32(source.code, bytes, converted, length);
    return new CpuBuffer("f32", length, converted, { writable: false });
  };
}

function inPlace(bytes: Uint8Array): Pointer | undefined {
  if (bytes.byteLength < IN_PLACE_BYTES) return undefined;
  const pointer = ptr(bytes);
  return pointer % ELEMENT_BYTES === 0 ? pointer : undefined;
}
