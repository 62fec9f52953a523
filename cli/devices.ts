import { referenceDevice } from "../core/backend/reference/device.ts";
import type { Device } from "../core/device.ts";
import { cpuDevice } from "../ffi/cpu/device.ts";
import { cudaDevice, emulatedDevice } from "../ffi/cuda/device.ts";

/**
 * Every device, in the order in which `--device auto` tries them. Adding one is one import and one
 * entry here: flags, help pages, `doctor`, `plan` and the released executable read this list.
 */
export const devices: readonly Device[] = [
  cpuDevice,
  cudaDevice(),
  emulatedDevice,
  referenceDevice,
];
