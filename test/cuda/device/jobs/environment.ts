/** The machine, its driver and CUDA's libraries: the first line of the results. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { machineFacts } from "../../../../cli/bench/machine.ts";
import { availableParallelism } from "node:os";
import { cudaLibraries, driverCandidates, MAJORS } from "../../../../ffi/cuda/libraries.ts";
import { openNvrtc } from "../../../../ffi/cuda/nvrtc.ts";
import { kernelSources } from "../../../../ffi/cuda/sources.ts";
import { emit, runAsJob } from "./job.ts";

const QUERY = "name,driver_version,memory.total,compute_cap,power.limit,clocks.max.sm";

await runAsJob(async () => {
  emit({
    ...(await machineFacts(availableParallelism())),
    kernels: kernelDigest(),
    commit: output("git", "rev-parse", "--short=12", "HEAD") ?? null,
    driver: firstLine("/proc/driver/nvidia/version"),
    gpus: gpus(),
    libraries: Object.fromEntries(MAJORS.map((major) => [`cuda${major}`, librariesOf(major)])),
    driverPaths: driverCandidates(),
    glibc: output("getconf", "GNU_LIBC_VERSION") ?? null,
    python: output("python3", "--version") ?? null,
  });
  return true;
});

/** Tells which kernels the figures are of, where there is no git. */
function kernelDigest(): string {
  const hash = createHash("sha256");
  const sources = kernelSources();
  for (const { text } of sources) hash.update(text);
  for (const text of sources[0]?.headers.values() ?? []) hash.update(text);
  return hash.digest("hex").slice(0, 16);
}

/** The devices as nvidia-smi tells them; null without it. */
function gpus() {
  const text = output("nvidia-smi", `--query-gpu=${QUERY}`, "--format=csv,noheader");
  if (text === undefined) return null;
  const names = QUERY.split(",");
  return text.split("\n").map((line) => {
    const values = line.split(",").map((value) => value.trim());
    return Object.fromEntries(names.map((name, i) => [name, values[i] ?? null]));
  });
}

function librariesOf(major: (typeof MAJORS)[number]) {
  const { nvrtc, cublas, cublasLt } = cudaLibraries(major);
  return { nvrtc, nvrtcVersion: versionOf(nvrtc), cublas, cublasLt };
}

function versionOf(nvrtc: readonly string[]): string | null {
  try {
    return nvrtc.length === 0 ? null : openNvrtc(nvrtc).version;
  } catch {
    return null; // the doctor says why
  }
}

function output(...command: readonly string[]): string | undefined {
  try {
    const run = Bun.spawnSync([...command], { stdin: "ignore", stderr: "ignore", timeout: 3000 });
    return run.exitCode === 0 ? run.stdout.toString().trim() : undefined;
  } catch {
    return undefined; // no such command
  }
}

function firstLine(path: string): string | null {
  try {
    return readFileSync(path, "utf8").split("\n")[0] ?? null;
  } catch {
    return null; // no driver
  }
}
