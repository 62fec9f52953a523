import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errors, invariant } from "../../core/errors.ts";
import { projectDir } from "../../ffi/paths.ts";
import { isElf, symbolVersions } from "./elf.ts";

/** The oldest glibc that the README promises, such as "2.27". */
export function claimedGlibc(): string {
  const readme = readFileSync(join(projectDir, "README.md"), "utf8");
  const claim = /glibc (2\.\d+) or newer/.exec(readme)?.[1];
  invariant(claim !== undefined, "README.md names the oldest glibc");
  return claim;
}

/**
 * Throws E_MACHINE if a file needs a newer glibc than `glibc`, or another version that no file of
 * the release defines: kernels may be compiled by a newer GCC than the OpenMP runtime comes from.
 */
export function checkSymbolVersions(
  files: Iterable<readonly [name: string, bytes: Buffer]>,
  glibc: string,
): void {
  const versions = [...files]
    .filter(([, bytes]) => isElf(bytes))
    .map(([name, bytes]) => ({ name, ...symbolVersions(bytes, name) }));
  const defined = new Set(versions.flatMap((file) => [...file.defined]));
  const faults = versions.flatMap(({ name, needed }) =>
    [...needed]
      .filter((version) => {
        const [library, number = ""] = version.split("_");
        return library === "GLIBC" ? isNewer(number, glibc) : !defined.has(version);
      })
      .map((version) => `${name} needs ${version}`),
  );
  if (faults.length === 0) return;
  throw errors.machine(
    `a release for glibc ${glibc} can't carry these files:\n${faults.join("\n")}`,
    "use older versions of the symbols (see kernels/adl.h), or raise the README's glibc",
  );
}

/** Compares version numbers: 2.4 is older than 2.27. GLIBC_PRIVATE counts as newer than any. */
function isNewer(version: string, than: string): boolean {
  return version.localeCompare(than, "en", { numeric: true }) > 0;
}
