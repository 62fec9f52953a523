import { check, type Finding } from "../../core/finding.ts";
import { dotted, usableDevice } from "./context.ts";
import { openCublasLibrary } from "./cublas.ts";
import { openCublasLtLibrary } from "./cublaslt-symbols.ts";
import { openSolverLibrary } from "./cusolver.ts";
import { compiledImages } from "./images.ts";
import { driverCandidates, driverDirs } from "./libraries.ts";
import { openNvrtc } from "./nvrtc.ts";
import { findLibrariesFor, findSolver, openSystemDriver, shownVersion } from "./open.ts";

const GIB = 2 ** 30;

/**
 * Checks the parts of the CUDA backend, in the order in which they are loaded. A machine without
 * NVIDIA's driver has none, which is no failure.
 */
export async function cudaFindings(ordinal: number): Promise<readonly Finding[]> {
  if (driverCandidates().length === 0)
    return [
      {
        what: "CUDA",
        ok: true,
        found: `not on this machine: no libcuda.so.1 in ${driverDirs().join(", ")}`,
      },
    ];
  const findings: Finding[] = [];
  async function add(what: string, find: () => string | Promise<string>): Promise<boolean> {
    const finding = await check(what, find);
    findings.push(finding);
    return finding.ok;
  }
  let [version, capability] = [0, 0];
  const hasDevice = await add("CUDA device", () => {
    const { driver, version: supported } = openSystemDriver();
    version = supported;
    const device = usableDevice(driver, ordinal);
    ({ capability } = device);
    return `${device.name}, ${(device.totalBytes / GIB).toFixed(1)} GiB, capability ${dotted(capability)}; driver for CUDA ${shownVersion(version)}, ${driver.path}`;
  });
  if (!hasDevice) return findings;
  await add("NVRTC", () => {
    const { nvrtc } = findLibrariesFor(version);
    const { version: own, path } = openNvrtc(nvrtc);
    return `${own}, ${path}`;
  });
  await add("cuBLAS", () => {
    const { cublas, cublasLt } = findLibrariesFor(version);
    openCublasLtLibrary(cublasLt);
    return `${openCublasLibrary(cublas).path}; float products in float, in TF32 with --tf32`;
  });
  findings.push(await solverFinding());
  await add("CUDA kernels", async () => {
    const started = performance.now();
    const images = await compiledImages(findLibrariesFor(version).nvrtc, capability);
    return `${images.length} families in ${((performance.now() - started) / 1000).toFixed(1)} s`;
  });
  return findings;
}

// --- internal ---

/** cuSOLVER is optional: its absence is no failure. */
async function solverFinding(): Promise<Finding> {
  const { what, ok, found } = await check("cuSOLVER", () => {
    const { path, version } = openSolverLibrary(findSolver());
    return `${version}, ${path}; singular values of inspect, export and --from`;
  });
  if (ok) return { what, ok, found };
  return { what, ok: true, found: `optional; singular values are computed on the CPU: ${found}` };
}
