import { createHash } from "node:crypto";
import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import { cacheFolder } from "../../core/io/cache-folder.ts";
import { type CompileOptions, compileSources } from "./compile.ts";
import { dotted } from "./context.ts";
import { imageCache } from "./image-cache.ts";
import type { KernelImage } from "./kernels.ts";
import {
  type Nvrtc,
  NVRTC_OPTIONS,
  openNvrtc,
  type Source,
  type Target,
  targetFor,
} from "./nvrtc.ts";
import { familyOf, kernelSources } from "./sources.ts";

/** Folder of compiled kernels in the user's cache; undefined for a user without a home folder. */
export function imageFolder(env?: NodeJS.ProcessEnv): string | undefined {
  const cache = cacheFolder(env);
  return cache === undefined ? undefined : join(cache, "cuda-kernels");
}

/** Options of `compiledImages`. */
interface ImageOptions extends Pick<CompileOptions, "workers"> {
  /** Default: all. */
  readonly sources?: readonly Source[];
  /** Where images are kept; default: the user's cache. */
  readonly folder?: string | undefined;
}

/**
 * The kernels compiled for a compute capability, from the cache where they were compiled before with
 * the same sources, options and NVRTC; the others are compiled on all cores. Throws E_LIBRARY
 * without NVRTC, E_MACHINE if it is too old for the device, E_NATIVE with a compiler's error.
 */
export async function compiledImages(
  candidates: readonly string[],
  capability: number,
  { sources = kernelSources(), folder = imageFolder(), workers }: ImageOptions = {},
): Promise<readonly KernelImage[]> {
  const nvrtc = openNvrtc(candidates);
  const target = targetFor(capability, nvrtc.capabilities);
  if (target === undefined)
    throw errors.machine(
      `NVRTC ${nvrtc.version} compiles for capability ${dotted(nvrtc.capabilities[0] ?? 0)} and newer, the device has ${dotted(capability)}`,
      "npm run setup -- --cuda fetches another NVRTC",
    );
  const cache = imageCache(folder);
  const nameOf = (source: Source) => `${familyOf(source)}-${keyOf(nvrtc, source, target)}`;
  const images = new Map(sources.map((source) => [source, cache.read(nameOf(source))]));
  const missing = sources.filter((source) => images.get(source) === undefined);
  await compileSources(
    nvrtc.path,
    missing.map((source) => ({ source, target })),
    {
      workers,
      onCompiled({ source }, { image }) {
        cache.keep(nameOf(source), image);
        images.set(source, image);
      },
    },
  );
  if (missing.length > 0) cache.prune(); // of an earlier version's
  return sources.map((source) => ({ family: familyOf(source), image: images.get(source)! }));
}

/** What an image depends on. */
function keyOf({ version }: Nvrtc, { text, headers }: Source, target: Target): string {
  const parts = [version, NVRTC_OPTIONS, target, text, [...headers]];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}
