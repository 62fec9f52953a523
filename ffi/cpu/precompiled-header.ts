import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Compiler } from "./compiler.ts";

/** System headers of the kernels. Parsing immintrin.h takes longer than optimizing most kernels. */
const HEADERS = ["immintrin.h", "math.h", "omp.h", "stddef.h", "stdint.h", "string.h"];

/** Compiling the header takes as long as parsing it for this many units. */
const MIN_UNITS = 4;

/** Flags that a precompiled header must share with its units: all but definitions. */
const sharedFlags = (flags: readonly string[]) => flags.filter((flag) => !flag.startsWith("-D"));

/**
 * Returns a function that precompiles the kernels' system headers for a unit's flags, once for all
 * units that share them, and returns the flags that include them: none where too few of `units`
 * would gain, or where it fails. Object files are the same with and without. GCC alone: it ignores
 * a precompiled header that does not fit, clang stops.
 */
export function precompiledHeaders(
  compiler: Compiler,
  units: readonly (readonly string[])[],
  run: (...args: string[]) => Promise<string>,
  scratch: string,
): (flags: readonly string[]) => Promise<string[]> {
  const headers = new Map<string, Promise<string[]>>();
  const counts = new Map<string, number>();
  for (const flags of units) {
    const key = sharedFlags(flags).join(" ");
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }

  async function precompile(flags: readonly string[], header: string): Promise<string[]> {
    try {
      writeFileSync(header, HEADERS.map((name) => `#include <${name}>\n`).join(""));
      await run(...flags, "-x", "c-header", header, "-o", `${header}.gch`);
      return ["-include", header];
    } catch {
      return []; // the units' own errors say why
    }
  }

  return (flags) => {
    const shared = sharedFlags(flags);
    const key = shared.join(" ");
    const isWorthwhile = !compiler.version.includes("clang") && (counts.get(key) ?? 0) > MIN_UNITS;
    if (!isWorthwhile) return Promise.resolve([]);
    const header =
      headers.get(key) ?? precompile(shared, join(scratch, `headers-${headers.size}.h`));
    headers.set(key, header);
    return header;
  };
}
