import type { HostTensor } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";
import { copyFloats } from "../../../core/io/float-conversion.ts";
import { writeRounded } from "../../../core/io/round-to.ts";
import { DTYPE_BYTES, isStoredDtype } from "../../../core/io/stored-tensor.ts";
import { CudaBuffer, elementBytes, type KernelType } from "../buffer.ts";
import type { DevicePool } from "../pool.ts";
import type { Staging } from "../staging.ts";

/** A kernel type's name in checkpoints. */
const storedAs = { f32: "F32", bf16: "BF16" } as const satisfies Record<KernelType, string>;

/**
 * Uploads checkpoint tensors as read-only buffers, converted on the way where their dtype is
 * another.
 */
export function adopter(pool: DevicePool, staging: Staging) {
  let space = new Float64Array(0);

  /** Converts the elements of `from` into `to`. */
  function convert(
    stored: keyof typeof DTYPE_BYTES,
    from: Uint8Array,
    to: Uint8Array,
    type: KernelType,
  ) {
    const count = to.length / elementBytes[type];
    if (space.length < count) space = new Float64Array(count);
    const values = space.subarray(0, count);
    copyFloats({ dtype: stored, bytes: from }, values);
    writeRounded(storedAs[type], values, to, "a weight");
  }

  return (tensor: HostTensor, type: KernelType): CudaBuffer => {
    const { bytes, dtype: stored } = tensor;
    invariant(isStoredDtype(stored), () => `a tensor of ${stored} cannot become a weight`);
    const [stored1, own1] = [DTYPE_BYTES[stored], elementBytes[type]];
    const length = bytes.byteLength / stored1;
    const buffer = new CudaBuffer(type, length, pool.alloc(length * own1), false);
    staging.upload(buffer.pointer, length * own1, (part, first) => {
      const start = (first / own1) * stored1;
      const from = bytes.subarray(start, start + (part.length / own1) * stored1);
      if (stored === storedAs[type]) part.set(from);
      else convert(stored, from, part, type);
    });
    return buffer;
  };
}
