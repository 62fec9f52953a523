/**
 * Conformance of the emulated device in f32 and bf16, with driver and kernels compiled for the
 * address and undefined-behaviour sanitizers: bun test/cuda/sanitized.ts. Ends with 1 and a report
 * at the first access outside of a block of device memory, of shared memory or of an array.
 */
import { join } from "node:path";
import process from "node:process";
import { hasSanitizer, sanitizedEnvironment } from "../helpers/sanitizer.ts";

const folder = join(import.meta.dir, "sanitized");
if (!hasSanitizer) throw new Error("no address sanitizer: it comes with gcc");
const preload = ["--preload", join(folder, "exact-blocks.ts")];
const command = ["test", "--timeout=600000", "--bail", ...preload, join(folder, "conformance.ts")];
const { exitCode } = Bun.spawnSync([process.execPath, "--no-env-file", ...command], {
  env: sanitizedEnvironment(),
  stdio: ["ignore", "inherit", "inherit"],
});
process.exitCode = exitCode;
