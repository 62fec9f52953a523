import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { embeddedFiles, isExecutable, readEmbedded } from "../embedded-registry.ts";
import type { Source } from "./nvrtc.ts";

/** Folder of the kernels' sources. */
export const kernelsDir = join(import.meta.dir, "kernels");

/** Folder of the sources among the files of a released executable. */
export const EMBEDDED_KERNELS = "cuda-kernels";

/** The Worker that compiles them, among those files: bundled, since it is a program of its own. */
export const EMBEDDED_WORKER = `${EMBEDDED_KERNELS}/compile-worker.js`;

/** The sources of all families, each with all headers. */
export function kernelSources(): Source[] {
  const texts = isExecutable() ? embeddedTexts() : textsOf(kernelsDir);
  const names = [...texts.keys()].toSorted();
  const headers = new Map(
    names.filter((name) => name.endsWith(".h")).map((name) => [name, texts.get(name)!]),
  );
  return names
    .filter((name) => name.endsWith(".cu"))
    .map((name) => ({ name, text: texts.get(name)!, headers }));
}

/** The name of a source's family. */
export const familyOf = ({ name }: Pick<Source, "name">) => basename(name, ".cu");

/** The sources for a released executable: paths by their names in it. */
export const kernelFiles = (): ReadonlyMap<string, string> =>
  new Map(
    [...textsOf(kernelsDir).keys()].map((name) => [
      `${EMBEDDED_KERNELS}/${name}`,
      join(kernelsDir, name),
    ]),
  );

const isSource = (name: string) => /\.(cu|h)$/.test(name);

const textsOf = (dir: string) =>
  new Map(
    readdirSync(dir)
      .filter(isSource)
      .map((name) => [name, readFileSync(join(dir, name), "utf8")]),
  );

function embeddedTexts(): Map<string, string> {
  const files = embeddedFiles()?.files ?? [];
  return new Map(
    files
      .filter(({ name }) => name.startsWith(`${EMBEDDED_KERNELS}/`))
      .map(({ name }) => [basename(name), Buffer.from(readEmbedded(name)).toString()]),
  );
}
