import { basename, join } from "node:path";
import * as tokenizers from "tokenizers";
import { devices } from "../../cli/devices.ts";
import { errors, invariant } from "../../core/errors.ts";
import { CPLUSPLUS_RUNTIME } from "../../ffi/embedded.ts";
import { projectDir } from "../../ffi/paths.ts";
import { TOKENIZERS } from "../../ffi/tokenizers.ts";
import { fetchRuntime, GCC_RUNTIME } from "../setup/gcc-runtime.ts";
import { fetchDnnl, isFetched } from "../setup/onednn.ts";

const OPENMP_RUNTIME = "libgomp.so.1";

/**
 * The native files of a release: paths by their names below the folder of native files. Fetches
 * what set-up left out. `scratch`: a folder for files that are made for the purpose.
 */
export async function nativeFiles(scratch: string): Promise<Map<string, string>> {
  await fetchRuntime();
  if (!isFetched()) await fetchDnnl(); // set-up leaves it out where the system has a oneDNN
  const runtime = [OPENMP_RUNTIME, ...CPLUSPLUS_RUNTIME];
  const files = new Map(runtime.map((name) => [name, join(GCC_RUNTIME.folder, name)]));
  files.set(TOKENIZERS, join(tokenizersPackage, "tokenizers.linux-x64-gnu.node"));
  for (const device of devices) {
    for (const [name, path] of (await device.embeddedFiles?.(scratch)) ?? []) files.set(name, path);
  }
  for (const [name, path] of files)
    if (/\.so(\.\d+)*$/.test(path)) files.set(name, stripped(path, scratch));
  return files;
}

/** A copy of a library without the symbols that no loader reads: a fifth of oneDNN. */
function stripped(path: string, scratch: string): string {
  const to = join(scratch, basename(path));
  const strip = Bun.which("strip");
  if (strip === null) throw errors.machine("no strip", "apt-get install binutils");
  const run = Bun.spawnSync([strip, "-o", to, path], { stdin: "ignore" });
  invariant(run.success, () => run.stderr.toString());
  return to;
}

const tokenizersPackage = join(projectDir, "node_modules/tokenizers");

/** Names that the npm package "tokenizers" exports. */
export const tokenizersExports = (): string[] =>
  Object.keys(tokenizers).filter((name) => /^[A-Za-z]\w*$/.test(name) && name !== "default");
