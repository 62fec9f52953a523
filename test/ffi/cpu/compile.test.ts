import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildKernels } from "../../../ffi/cpu/build.ts";
import { openObjectCache } from "../../../ffi/cpu/object-cache.ts";

/** Prints its command to the log, and what it would compile or link to the output. */
const FAKE = `
  case "$*" in
    *--version*) echo "fake cc 1.0"; exit ;;
    *-print-file-name*) echo libgomp.so.1; exit ;;
    *-fsyntax-only*) exit ;;
  esac
  echo "$*" >>"$LOG"
  case "$*" in *"$FAILS"*) echo "error: it can't" >&2; exit 1 ;; esac
  case "$*" in *warned.c*) echo "warning: of no use" >&2 ;; esac
  while [ "$1" != -o ]; do case "$1" in *.[co]) input="$input $(cat "$1")" ;; esac; shift; done
  echo "$input" >"$2"
  case "$input" in " earlier") echo later >edited.c ;; esac`;

const root = mkdtempSync(join(tmpdir(), "adalora-compile-"));
afterAll(() => rmSync(root, { recursive: true }));
const compiler = join(root, "cc");
writeFileSync(compiler, `#!/bin/sh\n${FAKE}\n`);
chmodSync(compiler, 0o755);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(root, "case-"));
  mkdirSync(join(folder, "src"));
  for (const name of ["one", "two"]) write(`${name}.c`, name);
  write("all.h", "header");
});
const write = (name: string, text: string) => writeFileSync(join(folder, "src", name), text);

/** Builds the sources for AVX2; returns the library, the commands and the warnings. */
async function build({ fails = "nothing fails", to = "out" } = {}) {
  const log = join(folder, "log");
  rmSync(log, { force: true });
  const { manifest, warnings } = await buildKernels({
    from: join(folder, "src"),
    to: join(folder, to),
    objects: join(folder, "objects"),
    levels: ["avx2"],
    env: { ...process.env, CC: `env LOG=${log} FAILS=${fails.replaceAll(" ", "_")} ${compiler}` },
  });
  const commands = existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n") : [];
  const library = join(folder, to, manifest.libraries.avx2 ?? "");
  return {
    library: readFileSync(library, "utf8").trim().split(/\s+/),
    compiled: commands.flatMap((command) => / -c (\S+)/.exec(command)?.[1] ?? []),
    headers: commands.filter((command) => command.includes("-x c-header")),
    commands,
    warnings,
  };
}
const objects = () => readdirSync(join(folder, "objects"));

describe("object files that a build keeps", () => {
  test("are those of sources, headers and flags that have not changed", async () => {
    expect((await build()).compiled.toSorted()).toEqual(["one.c", "two.c"]);
    const elsewhere = await build({ to: "elsewhere" });
    expect([elsewhere.compiled, elsewhere.library]).toEqual([[], ["one", "two"]]);
    write("two.c", "edited");
    const edited = await build();
    expect([edited.compiled, edited.library]).toEqual([["two.c"], ["one", "edited"]]);
    write("all.h", "edited");
    expect((await build()).compiled.toSorted()).toEqual(["one.c", "two.c"]);
  });

  test("are compiled again where a file is torn", async () => {
    await build();
    for (const name of objects()) truncateSync(join(folder, "objects", name), 1);
    const again = await build({ to: "elsewhere" });
    expect([again.compiled.length, again.library]).toEqual([2, ["one", "two"]]);
    expect((await build({ to: "third" })).compiled).toEqual([]);
  });

  test("are not those with warnings, which every build repeats", async () => {
    write("warned.c", "warned");
    expect((await build()).warnings).toContain("of no use");
    const again = await build({ to: "elsewhere" });
    expect([again.compiled, again.warnings]).toEqual([["warned.c"], "warning: of no use\n"]);
  });

  test("are not those of a source that is edited while it is compiled", async () => {
    write("edited.c", "earlier");
    expect((await build()).library).toEqual(["earlier", "one", "two"]);
    const again = await build();
    expect([again.compiled, again.library]).toEqual([["edited.c"], ["later", "one", "two"]]);
  });

  test("do without a folder that can't be written to", async () => {
    writeFileSync(join(folder, "objects"), "a file");
    expect((await build()).library).toEqual(["one", "two"]);
  });

  test("are bounded: the least recently used go, and what a killed build left", () => {
    const dir = join(folder, "objects");
    mkdirSync(dir);
    const ages = { "old.o": 3, "used.o": 1, "newer.o": 2, "old.o.17": 9000, "young.o.18": 4 };
    for (const [name, seconds] of Object.entries(ages)) {
      writeFileSync(join(dir, name), "");
      const time = new Date(Date.now() - seconds * 1000);
      utimesSync(join(dir, name), time, time);
    }
    openObjectCache(dir, join(folder, "src"), []).prune(2);
    expect(objects().toSorted()).toEqual(["newer.o", "used.o", "young.o.18"]);
  });
});

describe("system headers", () => {
  const many = ["three", "four", "five"];
  beforeEach(() => {
    for (const name of many) write(`${name}.c`, name);
  });

  test("are precompiled once for the units that share their flags", async () => {
    const { headers, commands, library } = await build();
    expect(headers).toHaveLength(1);
    expect(commands.filter((command) => command.includes("-include "))).toHaveLength(5);
    expect(library.toSorted()).toEqual(["five", "four", "one", "three", "two"]);
    write("two.c", "edited");
    expect((await build()).headers).toEqual([]); // not worth it for one unit
  });

  test.each(["c-header", "-include"])("are parsed by each unit where %s fails", async (fails) => {
    const { library } = await build({ fails });
    expect(library.toSorted()).toEqual(["five", "four", "one", "three", "two"]);
  });
});
