import { type CudaBackend, type CudaOptions, createCudaBackend } from "../backend.ts";
import { buildEmulator } from "./build.ts";
import { controlEmulator, type EmulatorControl } from "./control.ts";

/** A CUDA backend on the emulated device, with its controls. */
export interface EmulatedBackend {
  readonly backend: CudaBackend;
  readonly control: EmulatorControl;
}

/**
 * Opens the CUDA backend on an emulated device: the same TypeScript and kernels as on a real one.
 * Throws E_MACHINE without a C++ compiler.
 */
export async function createEmulatedBackend(
  dtype: "f32" | "bf16" = "f32",
  options: Partial<Pick<CudaOptions, "debugSync" | "attentionScratch" | "observe">> = {},
): Promise<EmulatedBackend> {
  const { driver, images } = await buildEmulator();
  const backend = await createCudaBackend({
    ordinal: 0,
    libraries: { driver: [driver], cublas: [driver] },
    images: async () => images,
    dtype,
    ...options,
  });
  return { backend, control: controlEmulator(driver) };
}
