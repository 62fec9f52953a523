import type { Device, RunDType } from "../../core/device.ts";
import { driverCandidates } from "./libraries.ts";

const types = (dtype: RunDType) => ({ activation: dtype, master: "f32" }) as const;

const HINT =
  "the driver, NVRTC or cuBLAS may be at fault: try another version of each (ADALORA_CUDA names a folder of libraries)";

/** NVIDIA's device n: products by cuBLASLt or cuBLAS, all else by the kernels of this folder. */
export const cudaDevice = (ordinal = 0): Device => ({
  name: ordinal === 0 ? "cuda" : `cuda:${ordinal}`,
  about: "an NVIDIA GPU (cuda:1: the second)",
  automatic: false,
  dtypes: ["bf16", "f32"],
  tf32: true,
  debugSync: true,
  selfTestHint: HINT,
  numbered: cudaDevice,
  types,
  refusal: () =>
    driverCandidates().length > 0 ? undefined : "NVIDIA's driver (libcuda.so.1) is not installed",

  async open(options) {
    const { openCuda } = await import("./open.ts");
    return openCuda(ordinal, options);
  },

  async decomposer() {
    const [{ cusolverDecomposer }, { findSolver }] = await Promise.all([
      import("./cusolver.ts"),
      import("./open.ts"),
    ]);
    return cusolverDecomposer(ordinal, findSolver);
  },

  async memoryModel(dtype) {
    const { cudaMemoryModel } = await import("./memory-model.ts");
    return cudaMemoryModel(types(dtype));
  },

  async memory() {
    if (driverCandidates().length === 0) return undefined;
    const { deviceMemory } = await import("./free-memory.ts");
    return deviceMemory(ordinal);
  },

  async doctor() {
    const { cudaFindings } = await import("./findings.ts");
    return cudaFindings(ordinal);
  },

  async embeddedFiles(scratch) {
    const { EMBEDDED_WORKER, kernelFiles } = await import("./sources.ts");
    const { bundleWorker } = await import("./bundle-worker.ts");
    return new Map([...kernelFiles(), [EMBEDDED_WORKER, await bundleWorker(scratch)]]);
  },
});

/** The setting "memory" of emulator/state.cpp. */
const EMULATED_BYTES = 2 ** 30;

/** The same code on an emulated device, which g++ compiles: for tests. */
export const emulatedDevice: Device = {
  ...cudaDevice(),
  name: "cuda-host",
  about: "an emulated NVIDIA GPU, for tests",
  hidden: true,
  refusal: () => undefined,

  async open({ dtype, tf32, debugSync }) {
    const { createEmulatedBackend } = await import("./emulator/backend.ts");
    return (await createEmulatedBackend(dtype, { tf32, debugSync })).backend;
  },

  async decomposer() {
    const { emulatedDecomposer } = await import("./emulator/backend.ts");
    return emulatedDecomposer();
  },

  memory: () =>
    Promise.resolve({
      kind: "own",
      weights: "resident",
      free: EMULATED_BYTES,
      total: EMULATED_BYTES,
    }),
  doctor: () => Promise.resolve([]),
  embeddedFiles: () => Promise.resolve(new Map()),
};
