import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mappedLibraries } from "../../ffi/libc.ts";
import { isElf, symbolVersions } from "../../scripts/release/elf.ts";
import { checkSymbolVersions, claimedGlibc } from "../../scripts/release/symbol-versions.ts";

const libm = mappedLibraries().find((path) => /\/libm[.-]/.test(path)) ?? "";
const bytes = readFileSync(libm);

test("reads the versions that a library needs and defines", () => {
  const { needed, defined } = symbolVersions(bytes, "libm");
  expect(needed).toContain("GLIBC_2.2.5"); // from libc
  expect(defined).toContain("GLIBC_2.27"); // expf
  expect(needed).not.toContain("");
  expect(isElf(Buffer.from("#!/bin/sh\n"))).toBe(false);
  expect(() => symbolVersions(Buffer.from("text"), "x")).toThrow("x: is not a 64-bit ELF file");
});

const objdump = Bun.which("objdump");

test.skipIf(objdump === null)("the same as objdump's (needs binutils)", () => {
  const text = Bun.spawnSync([objdump ?? "", "-p", libm]).stdout.toString();
  const [definitions = "", references = ""] = text.split("Version References:");
  const { needed, defined } = symbolVersions(bytes, "libm");
  const names = (part: string) => new Set(part.match(/\bGLIBC_\w[\w.]*/g));
  expect(needed).toEqual(names(references));
  expect([...defined].filter((name) => name.startsWith("GLIBC"))).toEqual([...names(definitions)]);
});

test("a file that needs a newer glibc, or a version that nothing defines, is named", () => {
  const bun = readFileSync(process.execPath);
  expect(() => checkSymbolVersions([["bun", bun]], claimedGlibc())).not.toThrow();
  expect(() => checkSymbolVersions([["bun", bun]], "2.4")).toThrow(
    /a release for glibc 2\.4 can't carry these files:\n(.*\n)*bun needs GLIBC_2\.17/,
  );
  expect(() => checkSymbolVersions([["notes.txt", Buffer.from("text")]], "2.4")).not.toThrow();
});

const stdcxx = join(import.meta.dir, "../../.native/gcc-10.2.1-6/libstdc++.so.6");

test.skipIf(!existsSync(stdcxx))(
  "versions of another library must be carried too (needs a build)",
  () => {
    const files = [["libstdc++.so.6", readFileSync(stdcxx)]] as const;
    expect(() => checkSymbolVersions(files, "2.27")).toThrow("libstdc++.so.6 needs GCC_3.0");
    const libgcc = readFileSync(join(stdcxx, "../libgcc_s.so.1"));
    expect(() => checkSymbolVersions([...files, ["libgcc_s.so.1", libgcc]], "2.27")).not.toThrow();
  },
);
