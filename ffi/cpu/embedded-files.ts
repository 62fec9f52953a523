import { writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { errors, invariant } from "../../core/errors.ts";
import { nativeDir } from "../paths.ts";
import { buildKernels, OBJECTS } from "./build.ts";
import { fetchedDnnl } from "./dnnl.ts";
import { LEVELS } from "./isa.ts";
import { MANIFEST } from "./manifest.ts";

/**
 * What a released executable carries for the CPU: the portable oneDNN that set-up fetched, and the
 * kernels of every instruction-set level, which are compiled now unless they are there, without a
 * warning. Throws E_MACHINE where the compiler can't build all of them, or not for GNU OpenMP, whose
 * runtime the release carries.
 */
export async function cpuEmbeddedFiles(scratch: string): Promise<ReadonlyMap<string, string>> {
  const { manifest, warnings } = await buildKernels({ objects: OBJECTS });
  invariant(warnings === "", warnings);
  const missing = LEVELS.filter((level) => manifest.libraries[level] === undefined);
  if (missing.length > 0 || manifest.openmp?.endsWith("/libgomp.so.1") !== true)
    throw errors.machine(
      `${manifest.compiler} can't build a release: it must know every level and link with libgomp`,
      "build with gcc 11 or newer",
    );
  const dnnl = fetchedDnnl();
  const kernels = Object.values(manifest.libraries).map(
    (name) => [name, join(nativeDir, name)] as const,
  );
  const portable = join(scratch, MANIFEST);
  writeFileSync(portable, JSON.stringify({ ...manifest, openmp: undefined }));
  return new Map([[relative(nativeDir, dnnl), dnnl], ...kernels, [MANIFEST, portable]]);
}
