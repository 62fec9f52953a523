import { invariant } from "../../../core/errors.ts";
import { type CudaBuffer, typeOf } from "../buffer.ts";
import { i64, type Launcher } from "../launcher.ts";
import { launchEach } from "./launches.ts";

/** Bytes per element of the checkpoint dtypes that `convert` reads. */
export const sourceBytes: Readonly<Record<string, number>> = {
  F16: 2,
  BF16: 2,
  F32: 4,
  F64: 8,
  I64: 8,
};

/**
 * Sets `to` to elements of a checkpoint's dtype, whose bytes lie in `from` (kernels/memory.cu).
 * Throws if weights cannot have this dtype.
 */
export function convert(launcher: Launcher, dtype: string, from: CudaBuffer, to: CudaBuffer): void {
  invariant(dtype in sourceBytes, `a tensor of dtype ${dtype} cannot become a weight`);
  const kernel = `convert_${dtype.toLowerCase()}_${typeOf(to)}`;
  launchEach(launcher, kernel, to.length, [from, to, i64(to.length)]);
}
