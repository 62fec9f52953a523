import { deviceFor, openBackend } from "../../../cli/backend.ts";
import type { Backend } from "../../../core/backend.ts";
import type { RunDType } from "../../../core/device.ts";
import type { CudaOptions } from "../../../ffi/cuda/backend.ts";
import { createEmulatedBackend } from "../../../ffi/cuda/emulator/backend.ts";
import { buildEmulator } from "../../../ffi/cuda/emulator/build.ts";
import { compiledImages } from "../../../ffi/cuda/images.ts";
import { findLibrariesFor, openCuda, openSystemDriver } from "../../../ffi/cuda/open.ts";
import { familyOf, kernelSources } from "../../../ffi/cuda/sources.ts";
import { type Flags, Skip } from "./jobs/job.ts";

/** The name of the emulated device. */
export const EMULATED = "cuda-host";

/** The ordinal of "cuda:1". */
export const ordinalOf = (device: string) => Number(/:(\d+)$/.exec(device)?.[1] ?? 0);

/** What a job may change of the CUDA backend. */
interface Overrides extends Pick<CudaOptions, "observe"> {
  /** The only families of kernels that are compiled and loaded. */
  readonly families?: readonly string[];
}

/**
 * Opens the device of the flags. Throws Skip where it does not compute in their dtype, E_LIBRARY or
 * E_MACHINE where it can't be opened.
 */
export async function openTarget(
  { device, dtype, threads }: Pick<Flags, "device" | "dtype" | "threads">,
  { families, ...others }: Overrides = {},
): Promise<Backend> {
  const { dtypes } = deviceFor({ device, dtype });
  if (!dtypes.includes(dtype)) throw new Skip(`--device ${device} computes in ${listed(dtypes)}`);
  if (device === EMULATED) {
    const options = { ...others, ...(families && { images: emulatedImages(families) }) };
    return (await createEmulatedBackend(dtype, options)).backend;
  }
  if (!device.startsWith("cuda")) return openBackend({ device, dtype, threads: threads ?? null });
  const options = { ...others, ...(families && { images: imagesOf(families) }) };
  return openCuda(ordinalOf(device), { dtype }, process.env, options);
}

// --- internal ---

const listed = (dtypes: readonly RunDType[]) => `${dtypes.join(" and ")} only`;

const imagesOf =
  (families: readonly string[]): CudaOptions["images"] =>
  async (capability) => {
    const { nvrtc } = findLibrariesFor(openSystemDriver().version);
    const sources = kernelSources().filter((source) => families.includes(familyOf(source)));
    return compiledImages(nvrtc, capability, { sources });
  };

const emulatedImages =
  (families: readonly string[]): CudaOptions["images"] =>
  async () =>
    (await buildEmulator()).images.filter(({ family }) => families.includes(family));
