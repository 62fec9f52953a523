import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { buildEmulator } from "../../ffi/cuda/emulator/build.ts";

const SOURCE = join(import.meta.dir, "fake-nvrtc.c");
const CC = process.env["CC"] ?? "gcc";

/** Whether `buildFakeNvrtc` can be called. */
export const hasCompiler = Bun.which(CC) !== null;

/** Compiles fake-nvrtc.c to `path`. */
export function buildFakeNvrtc(path: string): void {
  const run = Bun.spawnSync([CC, SOURCE, "-shared", "-fPIC", "-O1", "-ldl", "-o", path], {
    env: { ...process.env, LD_PRELOAD: "" },
  });
  if (run.exitCode !== 0) throw new Error(run.stderr.toString());
}

/**
 * Makes a folder of CUDA's libraries, in which the emulated driver stands for cuBLAS and cuBLASLt
 * and its kernels for what NVRTC compiles. Returns the variables with which `--device cuda` finds
 * them. Throws E_MACHINE without a C++ compiler.
 */
export async function emulatedLibraries(folder: string) {
  const { driver, images } = await buildEmulator();
  mkdirSync(folder);
  buildFakeNvrtc(join(folder, "libnvrtc.so.13"));
  for (const name of ["libcublas.so.13", "libcublasLt.so.13"])
    symlinkSync(driver, join(folder, name));
  for (const { family, image } of images)
    symlinkSync(Buffer.from(image).toString().replace("\0", ""), join(folder, `${family}.so`));
  return { ADALORA_CUDA_DRIVER: driver, ADALORA_CUDA: folder };
}
