import { errors } from "../../core/errors.ts";
import { CUBLAS_STATUSES } from "./abi.ts";
import type { CudaContext } from "./context.ts";
import { driverError, isLate } from "./driver-status.ts";

/** Throws E_NATIVE unless a status is that of success. */
export type CheckStatus = (status: number, call: string) => void;

/** CUBLAS_STATUS_NOT_INITIALIZED and ALLOC_FAILED: a handle takes some of the device's memory. */
const [NOT_INITIALIZED, ALLOC_FAILED] = [1, 3];

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
    const name = CUBLAS_STATUSES[status] ?? "unknown error";
    const isMemory = status === NOT_INITIALIZED || status === ALLOC_FAILED;
    throw errors.native(call, status, name, isMemory ? MEMORY_HINT : undefined);
  };

const MEMORY_HINT = "the device may lack memory: nvidia-smi lists its processes";
