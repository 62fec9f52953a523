import type { Decomposer } from "../../../core/decomposer.ts";
import { type CudaBackend, type CudaOptions, createCudaBackend } from "../backend.ts";
import { buildEmulator, type Emulator } from "./build.ts";
import { cusolverDecomposer } from "../cusolver.ts";
import { openDriver } from "../driver.ts";
import { controlEmulator, type EmulatorControl, type EmulatorSettings } from "./control.ts";

/** A CUDA backend on the emulated device, with its controls. */
export interface EmulatedBackend {
  readonly backend: CudaBackend;
  readonly control: EmulatorControl;
}

/** Options of the backend, and the device's settings from its opening on. */
type EmulatedOptions = Partial<
  Pick<CudaOptions, "debugSync" | "attentionScratch" | "tf32" | "observe" | "images">
> & {
  readonly settings?: EmulatorSettings;
};

/** cuSOLVER on an emulated device. Throws E_MACHINE without a C++ compiler. */
export async function emulatedDecomposer(): Promise<Decomposer> {
  const { driver: path } = await buildEmulator();
  const libraries = { cublas: [path], cublasLt: [path], cusolver: [path] };
  return cusolverDecomposer(0, () => ({
    ...libraries,
    driver: openDriver([path]),
    nvJitLink: [],
    cusparse: [],
    missing: "",
  }));
}

/**
 * Opens the CUDA backend on an emulated device: the same TypeScript and kernels as on a real one.
 * Throws E_MACHINE without a C++ compiler.
 */
export async function createEmulatedBackend(
  dtype: "f32" | "bf16" = "f32",
  { settings = {}, ...options }: EmulatedOptions = {},
): Promise<EmulatedBackend> {
  const emulator = await buildEmulator();
  const control = controlEmulator(emulator.driver);
  control.apply(settings);
  return { backend: await openOn(emulator, { dtype, ...options }), control };
}

/** Opens the CUDA backend on an emulated device that has been compiled, in f32 unless told. */
export const openOn = (
  { driver, images }: Emulator,
  options: Partial<CudaOptions> = {},
): Promise<CudaBackend> =>
  createCudaBackend({
    ordinal: 0,
    dtype: "f32",
    libraries: { driver: [driver], cublas: [driver], cublasLt: [driver] },
    images: async () => images,
    ...options,
  });
