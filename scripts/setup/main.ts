/**
 * Second half of set-up: oneDNN and the C kernels; with --cuda, NVRTC and cuBLAS too. bootstrap.sh
 * has installed Bun and the npm packages.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { AdaloraError } from "../../core/errors.ts";
import { buildForThisCpu } from "../../ffi/cpu/build.ts";
import { openDnnl } from "../../ffi/cpu/dnnl.ts";
import { openOpenMp } from "../../ffi/cpu/openmp.ts";
import { fetchedCuda } from "../../ffi/cuda/libraries.ts";
import { nativeDir, projectDir } from "../../ffi/paths.ts";
import { CUDA_MEGABYTES, driverProblem, fetchCuda, isCudaFetched } from "./cuda.ts";
import { fetchDnnl, isFetched } from "./onednn.ts";

/** Exit status if a component is missing; bootstrap.sh passes it on. */
const INCOMPLETE = 3;

const verbose = process.argv.includes("--verbose");
const say = (line: string) => console.error(`set-up: ${line}`);
const seconds = (start: number) => `${((performance.now() - start) / 1000).toFixed(1)} s`;

/**
 * Sets up one component; reports a failure with its remedy, and returns the component's name, so
 * that the others continue.
 */
async function part(what: string, work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
    say(`${what} missing: ${error.message}`);
    if (error.hint !== undefined) say(`  ${error.hint}`);
    return what;
  }
}

async function oneDnn() {
  const start = performance.now();
  openOpenMp(undefined);
  try {
    const { version, path } = openDnnl();
    if (verbose) say(`oneDNN ${version}: ${displayPath(path)}`);
    return;
  } catch (error) {
    if (process.env["ADALORA_DNNL"] !== undefined || isFetched()) throw error;
  }
  say("oneDNN: fetching it (37 MiB) ...");
  await fetchDnnl();
  const { version, path } = openDnnl();
  say(`oneDNN ${version}: fetched to ${displayPath(path)} in ${seconds(start)}`);
}

async function kernels() {
  const start = performance.now();
  const { manifest, compiled, warnings } = await buildForThisCpu();
  if (warnings !== "") say(warnings.trimEnd());
  if (compiled.length > 0)
    say(
      `C kernels: compiled for ${compiled.join(", ")} by ${manifest.compiler} in ${seconds(start)}`,
    );
  else if (verbose) say(`C kernels: ${Object.keys(manifest.libraries).join(", ")}, up to date`);
}

async function cuda() {
  const start = performance.now();
  const problem = driverProblem();
  if (problem !== undefined) say(`CUDA's libraries: ${problem}`);
  if (isCudaFetched()) return say(`CUDA's libraries: ${displayPath(fetchedCuda())}`);
  say(`CUDA's libraries: fetching NVRTC and cuBLAS (${CUDA_MEGABYTES} MB) ...`);
  await fetchCuda();
  say(`CUDA's libraries: fetched to ${displayPath(fetchedCuda())} in ${seconds(start)}`);
}

const displayPath = (path: string) =>
  path.startsWith(projectDir) ? relative(projectDir, path) : path;

mkdirSync(nativeDir, { recursive: true });
const parts = await Promise.allSettled([part("C kernels", kernels), part("oneDNN", oneDnn)]);
const lacksCuda =
  process.argv.includes("--cuda") && (await part("CUDA's libraries", cuda)) !== undefined;
const missing = parts.flatMap((ended) => {
  if (ended.status === "rejected") throw ended.reason; // a bug
  return ended.value ?? [];
});
if (missing.length > 0) say(`the CPU backend can't run without ${missing.join(" and ")}`);
else if (verbose) say("ready");

const stamp = join(nativeDir, `ready.${process.pid}`);
writeFileSync(stamp, missing.map((what) => `${what} missing\n`).join(""));
renameSync(stamp, join(nativeDir, "ready"));
process.exitCode = missing.length > 0 || lacksCuda ? INCOMPLETE : 0;
