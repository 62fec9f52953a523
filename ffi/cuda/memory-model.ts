import type { Backend, Buffer, DType } from "../../core/backend.ts";
import { createCountingBackend, elementBytes } from "../../core/backend/counting.ts";
import { FreeSpace } from "../../core/backend/free-space.ts";
import type { MemoryModel } from "../../core/device.ts";
import { invariant } from "../../core/errors.ts";
import { disentangledSaved } from "./backend/disentangled.ts";
import { WORKSPACE_BYTES } from "./cublas.ts";
import { blockSize } from "./pool.ts";

/**
 * A model of the device's memory: weights are copied to it whole, in the activation's dtype, and
 * blocks lie where the pool would put them. Kernels' scratch is not counted.
 */
export function cudaMemoryModel(types: Pick<Backend, "activation" | "master">): MemoryModel {
  const saved = disentangledSaved(types.activation);
  const counting = createCountingBackend({ ...types, disentangledSaved: saved });
  const space = new FreeSpace();
  space.give(0, Number.MAX_SAFE_INTEGER);
  const starts = new Map<Buffer, number>();
  let reached = 0;

  const sizeOf = ({ dtype, length }: { dtype: DType; length: number }) =>
    blockSize(length * elementBytes[dtype]);
  function place(buffer: Buffer): Buffer {
    const size = sizeOf(buffer);
    const start = space.take(size);
    invariant(start !== undefined, "address space is endless");
    reached = Math.max(reached, start + size);
    starts.set(buffer, start);
    return buffer;
  }

  return {
    ...counting,
    alloc: (dtype, length) => place(counting.alloc(dtype, length)),
    adopt: (tensor, dtype) => place(counting.adopt(tensor, dtype)),
    free(buffer) {
      const start = starts.get(buffer);
      if (start !== undefined) space.give(start, sizeOf(buffer));
      starts.delete(buffer);
      counting.free(buffer);
    },
    peakBytes: () => WORKSPACE_BYTES + reached,
  };
}
