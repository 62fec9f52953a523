import { join } from "node:path";

/** Bundles compile-worker.ts into one file in a folder, for a released executable; returns its path. */
export async function bundleWorker(folder: string): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "compile-worker.ts")],
    target: "bun",
    format: "esm",
    minify: true,
  });
  const path = join(folder, "cuda-compile-worker.js");
  await Bun.write(path, outputs[0]!);
  return path;
}
