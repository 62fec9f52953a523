import { deviceFor, openBackend } from "../../../cli/backend.ts";
import type { Backend } from "../../../core/backend.ts";
import type { RunDType } from "../../../core/device.ts";
import { createEmulatedBackend } from "../../../ffi/cuda/emulator/backend.ts";
import type { CudaOptions } from "../../../ffi/cuda/backend.ts";
import { openCuda } from "../../../ffi/cuda/open.ts";
import { type Flags, Skip } from "./jobs/job.ts";

/** The name of the emulated device. */
export const EMULATED = "cuda-host";

/** The ordinal of "cuda:1". */
export const ordinalOf = (device: string) => Number(/:(\d+)$/.exec(device)?.[1] ?? 0);

/** What a job may change of the CUDA backend. */
type Overrides = Partial<Pick<CudaOptions, "images" | "observe">>;

/**
 * Opens the device of the flags. Throws Skip where it does not compute in their dtype, E_LIBRARY or
 * E_MACHINE where it can't be opened.
 */
export async function openTarget(
  { device, dtype, threads }: Pick<Flags, "device" | "dtype" | "threads">,
  overrides: Overrides = {},
): Promise<Backend> {
  const { dtypes } = deviceFor({ device, dtype });
  if (!dtypes.includes(dtype)) throw new Skip(`--device ${device} computes in ${listed(dtypes)}`);
  const { images: _, ...others } = overrides; // the emulator has its own
  if (device === EMULATED) return (await createEmulatedBackend(dtype, others)).backend;
  if (!device.startsWith("cuda")) return openBackend({ device, dtype, threads: threads ?? null });
  return openCuda(ordinalOf(device), dtype, process.env, overrides);
}

const listed = (dtypes: readonly RunDType[]) => `${dtypes.join(" and ")} only`;
