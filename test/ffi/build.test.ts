import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildKernels, kernelUnits } from "../../ffi/cpu/build.ts";
import { type CompileUnit, findCompiler } from "../../ffi/cpu/compiler.ts";
import { precompiledHeaders } from "../../ffi/cpu/precompiled-header.ts";
import { cpuFlags, type Level, levelFlags, LEVELS } from "../../ffi/cpu/isa.ts";
import { openLibrary } from "../../ffi/load.ts";

const SCALE = `
  void scale(float *x, long n, float by) {
  #pragma omp parallel for
    for (long i = 0; i < n; i++) x[i] *= by;
  }
  int level(void) {
  #ifdef __AVX512F__
    return 512;
  #else
    return 256;
  #endif
  }`;

const kernels = join(import.meta.dir, "../../ffi/cpu/kernels");
const root = mkdtempSync(join(tmpdir(), "adalora-build-"));
afterAll(() => rmSync(root, { recursive: true }));
let from = "";
let to = "";
let count = 0;
beforeEach(() => {
  count += 1;
  [from, to] = [join(root, `src${count}`), join(root, `out${count}`)];
  mkdirSync(from);
  writeFileSync(join(from, "scale.c"), SCALE);
});

/** A compiler that is this shell script. */
function fakeCompiler(script: string) {
  const path = join(root, `cc${count}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return { ...process.env, CC: path };
}

/** Knows no AVX512-BF16. */
const OLD = `
  case "$*" in
    *--version*) echo "old cc 1.0" ;;
    *-mavx512bf16*) exit 1 ;;
    *-print-file-name*) echo libgomp.so.1 ;;
    *-fsyntax-only*) ;;
    *) while [ "$1" != -o ]; do shift; done; echo made >"$2" ;;
  esac`;

const possible =
  cpuFlags().has("avx2") && ["gcc", "cc", "clang"].some((name) => Bun.which(name) !== null);

// Set-up compiles for its own CPU alone, a release for all others, where a warning is an error.
test.skipIf(!possible)("the kernels are C without warnings for other CPUs too", async () => {
  const compiler = findCompiler();
  const levels = LEVELS.filter((level) => compiler.accepts(levelFlags(level)));
  const overBf16 = kernelUnits(kernels, levels.at(-1)!).filter(({ flags }) =>
    flags.includes("-DADL_BF16"),
  );
  const products = levels.flatMap((level) =>
    kernelUnits(kernels, level).filter(({ source }) => source === "bf16-products.c"),
  );
  const units = [...overBf16, ...products];

  const common = "-std=gnu11 -fopenmp -Wall -Wextra".split(" ");
  const run = (...words: string[]) =>
    Bun.spawnSync([...compiler.command, ...common, ...words], { cwd: kernels }).stderr.toString();
  const flags = units.map((unit) => unit.flags);
  const headersFor = precompiledHeaders(
    compiler,
    flags,
    async (...words) => run(...words),
    mkdtempSync(join(root, "headers-")),
  );
  const warnings = async (unit: CompileUnit) =>
    run(...unit.flags, ...(await headersFor(unit.flags)), "-fsyntax-only", unit.source);
  expect(units.length).toBeGreaterThan(0);
  for (const unit of units) expect(await warnings(unit), unit.source).toBe("");
});

describe.skipIf(!possible)("buildKernels (needs a C compiler and AVX2)", () => {
  test("compiles a library for each level, each with its instructions", async () => {
    const { manifest, compiled } = await buildKernels({ from, to });
    expect(compiled).toContain("avx2"); // a compiler of before 2020 knows no more
    expect(Object.keys(manifest.libraries)).toEqual([...compiled]);
    const avx2 = openLibrary(
      "kernels",
      [join(to, manifest.libraries.avx2 ?? "")],
      {
        scale: { args: ["ptr", "i64", "f32"], returns: "void" },
        level: { args: [], returns: "i32" },
      },
      "",
    ).symbols;
    const x = Float32Array.from({ length: 2000 }, (_, i) => i);
    avx2.scale(x, 1999, 3);
    expect([x[1], x[1998], x[1999]]).toEqual([3, 5994, 1999]);
    expect(avx2.level()).toBe(256);
  });

  test("compiles a source that names symbols by ADL_ACT over float and over bf16", async () => {
    const symbol = "int ADL_ACT(bytes)(void) { return sizeof(act); }";
    writeFileSync(join(from, "typed.c"), `#include "${kernels}/activation-type.h"\n${symbol}\n`);
    writeFileSync(
      join(from, "bf16-alone.c"),
      "#ifdef ADL_BF16\nint alone(void) { return 1; }\n#endif\n",
    );
    const { manifest } = await buildKernels({ from, to, levels: ["avx2", "avx512"] });
    const sized = { args: [], returns: "i32" } as const;
    const open = (level: Level, names: string[]) => {
      const table = Object.fromEntries(names.map((name) => [name, sized]));
      return openLibrary("kernels", [join(to, manifest.libraries[level] ?? "")], table, "").symbols;
    };
    expect(open("avx2", ["adl_bytes_f32"])["adl_bytes_f32"]?.()).toBe(4);
    expect(() => open("avx2", ["adl_bytes_bf16"])).toThrow("adl_bytes_bf16");
    expect(() => open("avx2", ["alone"])).toThrow("alone");
    if (manifest.libraries.avx512 === undefined) return; // an old compiler
    const units = kernelUnits(from, "avx512").map(({ source, flags }) =>
      [source, ...flags.filter((flag) => flag.startsWith("-D"))].join(" "),
    );
    expect(units).toEqual(["bf16-alone.c -DADL_BF16", "scale.c", "typed.c", "typed.c -DADL_BF16"]);
    if (!cpuFlags().has("avx512f")) return;
    const { adl_bytes_f32, adl_bytes_bf16 } = open("avx512", ["adl_bytes_f32", "adl_bytes_bf16"]);
    expect([adl_bytes_f32?.(), adl_bytes_bf16?.()]).toEqual([4, 2]);
  });

  test("compiles a source once for the levels that add no instructions to it", async () => {
    writeFileSync(join(from, "bf16-alone.c"), "int alone(void) { return 1; }\n");
    writeFileSync(
      join(from, "bf16-tiles.c"),
      '#include "tiles.h"\nint tiles(void) { return TILES; }\n',
    );
    writeFileSync(
      join(from, "tiles.h"),
      "#ifdef __AMX_BF16__\n#define TILES 8\n#else\n#define TILES 0\n#endif\n",
    );
    const log = join(root, `log${count}`);
    const env = fakeCompiler(`echo "$*" >>"${log}"; exec gcc "$@"`);
    const { manifest } = await buildKernels({ from, to, env });
    const compiled = (source: string) =>
      readFileSync(log, "utf8")
        .split("\n")
        .filter((line) => line.includes(`-c ${source}`));
    const levels = LEVELS.filter((level) => manifest.libraries[level] !== undefined);
    const [overBf16, withoutTiles] = [levels.slice(1), levels.slice(1, 3)];
    expect(compiled("scale.c")).toHaveLength(Math.min(levels.length, 2));
    expect(compiled("bf16-tiles.c")).toHaveLength(overBf16.length);
    expect(compiled("bf16-alone.c")).toHaveLength(withoutTiles.length);
  });

  test("compiles nothing twice, and everything again when a source or header changes", async () => {
    await buildKernels({ from, to, levels: ["avx2"] });
    expect((await buildKernels({ from, to, levels: ["avx2"] })).compiled).toEqual([]);
    writeFileSync(join(from, "new.h"), "// a header");
    const again = await buildKernels({ from, to, levels: ["avx2"] });
    expect(again.compiled).toEqual(["avx2"]);
  });

  test("removes libraries that nothing names, but not young ones", async () => {
    mkdirSync(to);
    const [old, young] = [join(to, "kernels-avx2-old.so"), join(to, "kernels-avx2-young.so")];
    writeFileSync(old, "");
    writeFileSync(young, "");
    utimesSync(old, new Date(0), new Date(0));
    await buildKernels({ from, to, levels: ["avx2"] });
    const left = readdirSync(to).filter((name) => name.startsWith("kernels-"));
    expect(left).toHaveLength(2);
    expect(left).toContain("kernels-avx2-young.so");
  });

  test("two at once end with the same libraries", async () => {
    const both = await Promise.all([
      buildKernels({ from, to, levels: ["avx2"] }),
      buildKernels({ from, to, levels: ["avx2"] }),
    ]);
    expect(both[0].manifest).toEqual(both[1].manifest);
    expect(readdirSync(to).toSorted()).toEqual(
      [both[0].manifest.libraries.avx2 ?? "", "kernels.json"].toSorted(),
    );
  });

  test("an error names its file and line, and leaves nothing behind", async () => {
    writeFileSync(join(from, "bad.c"), "int f(void) {\n  return nowhere;\n}\n");
    await expect(buildKernels({ from, to, levels: ["avx2"] })).rejects.toThrow(
      /the C kernels do not compile: bad\.c:2:\d+: error: .*nowhere/,
    );
    expect(readdirSync(to)).toEqual([]);
  });

  test("a function that is nowhere is an error, not a crash later", async () => {
    writeFileSync(join(from, "bad.c"), "int nowhere(int);\nint f(void) { return nowhere(1); }\n");
    await expect(buildKernels({ from, to, levels: ["avx2"] })).rejects.toThrow(
      /undefined reference to `nowhere'/,
    );
  });
});

test("without a compiler the message says how to get one", async () => {
  const error: unknown = await buildKernels({ from, to, env: { CC: "/no/such/cc" } }).catch(
    (caught: unknown) => caught,
  );
  expect(error).toMatchObject({
    code: "E_MACHINE",
    message: "no C compiler: /no/such/cc did not run",
    hint: "install a C compiler: apt-get install gcc (or set CC to one)",
  });
});

test("a compiler that does not know a level's flags leaves that level out", async () => {
  const env = fakeCompiler(OLD);
  const { manifest } = await buildKernels({ from, to, env });
  expect(Object.keys(manifest.libraries)).toEqual(["avx2", "avx512"]);
  expect(manifest.compiler).toBe("old cc 1.0");
  expect(JSON.parse(readFileSync(join(to, "kernels.json"), "utf8"))).toEqual({
    source: manifest.source,
    compiler: "old cc 1.0",
    libraries: manifest.libraries,
    requested: [...LEVELS],
  });
});

test("a CPU's own level alone is compiled, or the best below it that the compiler knows, and what is there stays", async () => {
  const env = fakeCompiler(OLD);
  const build = (levels: Level[]) => buildKernels({ from, to, env, levels, highest: true });
  expect((await build(["avx2"])).compiled).toEqual(["avx2"]);
  const { compiled, manifest } = await build(["avx2", "avx512", "avx512bf16"]);
  expect(compiled).toEqual(["avx512"]);
  expect(Object.keys(manifest.libraries)).toEqual(["avx2", "avx512"]);
  expect(manifest.requested).toEqual(["avx2", "avx512bf16"]);
});

test("clang without OpenMP's headers has its own hint", async () => {
  const env = fakeCompiler(`
    case "$*" in
      *--version*) echo "clang version 99" ;;
      *-fsyntax-only*) ;;
      *) echo "scale.c:1:10: fatal error: 'omp.h' file not found" >&2; exit 1 ;;
    esac`);
  await expect(buildKernels({ from, to, env })).rejects.toMatchObject({
    hint: "clang needs OpenMP: apt-get install libomp-dev, or gcc instead",
  });
});
