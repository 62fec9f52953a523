import type { OpenOptions } from "../../core/device.ts";
import { errors } from "../../core/errors.ts";
import { openCublasLtLibrary } from "./cublaslt-symbols.ts";
import { type CudaBackend, type CudaOptions, createCudaBackend } from "./backend.ts";
import type { SolverParts } from "./cusolver.ts";
import { openDriver, out, outInt } from "./driver.ts";
import { compiledImages } from "./images.ts";
import {
  chooseLibraries,
  cudaDirs,
  cudaLibraries,
  driverCandidates,
  driverDirs,
  isComplete,
  MAJORS,
  missingSolver,
  solverLibraries,
} from "./libraries.ts";

/** The oldest driver version that the libraries run with. */
const OLDEST_DRIVER = 1000 * Math.min(...MAJORS);

/** An open driver and the CUDA version that it supports. */
export function openSystemDriver(env?: NodeJS.ProcessEnv) {
  const candidates = driverCandidates(env);
  if (candidates.length === 0)
    throw errors.library(
      "NVIDIA's driver",
      [`no libcuda.so.1 in ${driverDirs(env).join(", ")}`],
      "install NVIDIA's driver, or run with --device cpu; ADALORA_CUDA_DRIVER names its libcuda.so.1",
    );
  const driver = openDriver(candidates);
  driver.call("cuDriverGetVersion", undefined, out);
  const version = outInt();
  if (version < OLDEST_DRIVER)
    throw errors.machine(
      `NVIDIA's driver supports CUDA ${shownVersion(version)}, at least ${shownVersion(OLDEST_DRIVER)} is needed`,
      "update it, or run with --device cpu",
    );
  return { driver, version };
}

/** "12.4" for 12040. */
export const shownVersion = (version: number) =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;

/** The libraries for a driver. Throws E_LIBRARY with all folders that were searched. */
export function findLibrariesFor(version: number, env?: NodeJS.ProcessEnv) {
  const found = chooseLibraries(version, env);
  const { major, nvrtc, cublas, cublasLt } = found;
  const lists = { libnvrtc: nvrtc, libcublasLt: cublasLt, libcublas: cublas };
  const missing = Object.entries(lists).flatMap(([name, paths]) =>
    paths.length > 0 ? [] : [`no ${name}.so.${major} in ${cudaDirs(major, env).join(", ")}`],
  );
  if (missing.length > 0)
    throw errors.library("CUDA's libraries", missing, remedyFor(version, env));
  return found;
}

/** How to get libraries that a driver runs: those that set-up fetches need one for CUDA 13. */
function remedyFor(version: number, env?: NodeJS.ProcessEnv): string {
  const [newest] = MAJORS;
  if (version >= 1000 * newest)
    return "npm run setup -- --cuda fetches them (500 MB); ADALORA_CUDA names another folder that has them";
  const unusable = isComplete(cudaLibraries(newest, env)) ? ", as those that are here do" : "";
  return (
    `the driver supports CUDA ${shownVersion(version)}: install CUDA 12's (pip install nvidia-cuda-nvrtc-cu12 nvidia-cublas-cu12), ` +
    `or update the driver to 580 or newer, which CUDA ${newest}'s libraries need${unusable}`
  );
}

/** The driver and the libraries of cuSOLVER. Throws E_LIBRARY or E_MACHINE without a driver. */
export function findSolver(env?: NodeJS.ProcessEnv): SolverParts {
  const { driver, version } = openSystemDriver(env);
  const { major, cublas, cublasLt } = chooseLibraries(version, env);
  const missing = missingSolver(major, env);
  return { driver, cublas, cublasLt, ...solverLibraries(major, env), missing };
}

/**
 * Opens the CUDA backend on this machine's device. `overrides`: for tests and measurements. Throws
 * E_LIBRARY or E_MACHINE.
 */
export async function openCuda(
  ordinal: number,
  { dtype, tf32, debugSync }: Omit<OpenOptions, "threads">,
  env: NodeJS.ProcessEnv = process.env,
  overrides: Partial<CudaOptions> = {},
): Promise<CudaBackend> {
  const { driver, version } = openSystemDriver(env);
  const libraries = findLibrariesFor(version, env);
  openCublasLtLibrary(libraries.cublasLt); // which cuBLAS needs
  return createCudaBackend({
    ordinal,
    dtype,
    tf32,
    libraries: { ...libraries, driver: [driver.path] },
    images: (capability) => compiledImages(libraries.nvrtc, capability),
    debugSync,
    ...overrides,
  });
}
