import { errors } from "../../core/errors.ts";
import { ABI } from "./abi.ts";
import type { Driver } from "./driver.ts";

/**
 * Errors of kernels come late: a later call reports them, and names the kernel only with
 * --debug-sync. Every call after it reports them again.
 */
const LATE: ReadonlySet<number> = new Set([
  ABI.CUDA_ERROR_ILLEGAL_ADDRESS,
  ABI.CUDA_ERROR_LAUNCH_TIMEOUT,
  ABI.CUDA_ERROR_HARDWARE_STACK_ERROR,
  ABI.CUDA_ERROR_ILLEGAL_INSTRUCTION,
  ABI.CUDA_ERROR_MISALIGNED_ADDRESS,
  ABI.CUDA_ERROR_INVALID_ADDRESS_SPACE,
  ABI.CUDA_ERROR_INVALID_PC,
  ABI.CUDA_ERROR_LAUNCH_FAILED,
]);

const REBOOT = "the driver's libcuda.so.1 and its kernel module differ, as after an update: reboot";

/** What to do about a status that comes from the machine rather than from a bug. */
const HINTS: Readonly<Record<number, string>> = {
  [ABI.CUDA_ERROR_OUT_OF_MEMORY]:
    "nvidia-smi lists other processes in the device's memory; or reduce --batch-size",
  [ABI.CUDA_ERROR_DEVICE_UNAVAILABLE]:
    "another process has the device for itself, or it is in prohibited mode: nvidia-smi tells",
  [ABI.CUDA_ERROR_NO_BINARY_FOR_GPU]:
    "NVRTC does not know the device: ADALORA_CUDA names a folder with a newer one",
  [ABI.CUDA_ERROR_ECC_UNCORRECTABLE]:
    "the device's memory has failed: nvidia-smi -q tells; --resume continues from the last checkpoint",
  [ABI.CUDA_ERROR_UNSUPPORTED_PTX_VERSION]:
    "NVRTC is newer than the driver: update the driver, or ADALORA_CUDA names a folder with an older one",
  [ABI.CUDA_ERROR_LAUNCH_TIMEOUT]:
    "the system limits how long a kernel may run on a device with a display: use another, or reduce --batch-size",
  [ABI.CUDA_ERROR_SYSTEM_NOT_READY]: "NVIDIA's fabric manager must run on this machine",
  [ABI.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH]: REBOOT,
  [ABI.CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE]: `ADALORA_CUDA_DRIVER names another libcuda.so.1; or ${REBOOT}`,
  [ABI.CUDA_ERROR_UNKNOWN]:
    "nvidia-smi tells whether the device is lost; --resume continues from the last checkpoint",
};

const PINNED_HINT =
  "this is the host's memory: raise the limit of locked memory (ulimit -l) or the container's";

/** The error of a call of the driver that returned `status`. `subject`: what the call is for. */
export function driverError(
  { nameOf }: Pick<Driver, "nameOf">,
  status: number,
  call: string,
  subject?: string,
) {
  const where = subject === undefined ? call : `${call} ${subject}`;
  const name = nameOf(status);
  const text = isLate(status) ? `${name}: an earlier kernel failed; --debug-sync names it` : name;
  return errors.native(where, status, text, hintFor(status, call));
}

/** What to do about a status of a call; undefined where only a bug leads to it. */
export function hintFor(status: number, call: string): string | undefined {
  const isPinned = call === "cuMemHostAlloc" && status === ABI.CUDA_ERROR_OUT_OF_MEMORY;
  return isPinned ? PINNED_HINT : HINTS[status];
}

/** Whether a status is that of an earlier kernel. */
export const isLate = (status: number) => LATE.has(status);
