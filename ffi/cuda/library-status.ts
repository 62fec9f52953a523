import { errors } from "../../core/errors.ts";
import { CUBLAS_STATUSES } from "./abi.ts";
import type { CudaContext } from "./context.ts";
import { driverError, isLate } from "./driver-status.ts";

/** Throws E_NATIVE unless a status is that of success. */
export type CheckStatus = (status: number, call: string) => void;

const MEMORY_HINT = "the device may lack memory: nvidia-smi lists its processes";

/** What to do about a status of cublasStatus_t that comes from the machine. */
const HINTS: Readonly<Record<number, string>> = {
  1: MEMORY_HINT, // NOT_INITIALIZED: a handle takes some of the device's memory
  3: MEMORY_HINT, // ALLOC_FAILED
  8: "cuBLAS does not know the device: ADALORA_CUDA names a folder with a newer one", // ARCH_MISMATCH
};

/**
 * Checks the statuses of cuBLAS and cuBLASLt. These only tell that a call failed where an earlier
 * kernel has: then the driver's error is thrown, as by any other call.
 */
export const cublasCheck =
  ({ driver, stream }: Pick<CudaContext, "driver" | "stream">): CheckStatus =>
  (status, call) => {
    if (status === 0) return;
    const late = driver.symbols.cuStreamSynchronize(stream);
    if (isLate(late)) throw driverError(driver, late, call);
    throw errors.native(call, status, CUBLAS_STATUSES[status] ?? "unknown error", HINTS[status]);
  };
