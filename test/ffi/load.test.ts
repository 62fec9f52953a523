import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "bun:test";
import { AdaloraError } from "../../core/errors.ts";
import { addressOf, loadGlobally, mappedLibraries } from "../../ffi/libc.ts";
import { checked, openLibrary } from "../../ffi/load.ts";

const folder = mkdtempSync(join(tmpdir(), "adalora-"));
afterAll(() => rmSync(folder, { recursive: true }));
const libm = mappedLibraries().find((path) => /\/libm[.-]/.test(path)) ?? "";
const COS = { cos: { args: ["f64"], returns: "f64" } } as const;

function caught(run: () => unknown): AdaloraError {
  try {
    run();
  } catch (error) {
    if (error instanceof AdaloraError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("openLibrary", () => {
  test("opens the first candidate that loads and says which", () => {
    const opened = openLibrary("libm", [join(folder, "none.so"), libm], COS, "");
    expect(opened.path).toBe(libm);
    expect(opened.symbols.cos(0.5)).toBe(Math.cos(0.5));
  });

  test("the error lists each path and its reason, and the hint", () => {
    const [text, none] = [join(folder, "text.so"), join(folder, "none.so")];
    writeFileSync(text, "not a library");
    const error = caught(() =>
      openLibrary("libfoo", ["libm.so.6", none, text, libm], { nosuch: { args: [] } }, "get foo"),
    );
    expect(error.code).toBe("E_LIBRARY");
    expect(error.hint).toBe("get foo");
    const lines = error.message.split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "cannot load libfoo",
      "  libm.so.6: not an absolute path",
      `  ${none}: no such file`,
      `  ${text}: ${text}: file too short`,
    ]);
    expect(lines[4]).toStartWith(`  ${libm}: Symbol "nosuch" not found`);
  });

  test("a library that is refused is passed over with the reason", () => {
    const error = caught(() =>
      openLibrary("libm", [libm], COS, "", (m) => (m.cos(0) === 1 ? "too exact" : undefined)),
    );
    expect(error.message).toContain(`${libm}: too exact`);
  });

  test("a library in the working directory is never opened by its bare name", async () => {
    const script = join(folder, "bare.ts");
    writeFileSync(join(folder, "libbare.so"), await Bun.file(libm).bytes());
    writeFileSync(
      script,
      `import { openLibrary } from ${JSON.stringify(join(import.meta.dir, "../../ffi/load.ts"))};
       try { openLibrary("bare", ["libbare.so"], { cos: { args: ["f64"], returns: "f64" } }, ""); }
       catch (error) { console.log(error.message); }`,
    );
    const run = Bun.spawnSync([process.execPath, script], { cwd: folder });
    expect(run.stdout.toString()).toBe("cannot load bare\n  libbare.so: not an absolute path\n");
  });
});

test("loadGlobally returns what it loaded, or each reason", () => {
  expect(loadGlobally("libm", [libm], "")).toBe(libm);
  const error = caught(() => loadGlobally("x", ["x.so", join(folder, "x.so")], "get x"));
  expect(error.message).toContain("x.so: not an absolute path");
  expect(error.message).toContain("cannot open shared object file");
});

test("addressOf finds a function of an open library, and refuses an unknown one", () => {
  expect(addressOf(libm, "cos")).not.toBe(addressOf(libm, "sin"));
  expect(() => addressOf(libm, "nosuch")).toThrow("internal:");
});

test("checked turns a status into an error with the call's name and description", () => {
  const call = checked(
    "gemm",
    (status: number) => status,
    (s) => (s === 2 ? "bad argument" : "?"),
  );
  expect(() => call(0)).not.toThrow();
  expect(caught(() => call(2)).message).toBe("[gemm] bad argument (status 2)");
});

test("ADALORA_DEBUG_FFI logs calls and ADALORA_TRACE_FFI sums them up at exit", () => {
  const run = Bun.spawnSync(
    [
      process.execPath,
      "-e",
      `const { openLibrary } = await import(${JSON.stringify(join(import.meta.dir, "../../ffi/load.ts"))});
       const { symbols } = openLibrary("libm", [${JSON.stringify(libm)}], ${JSON.stringify(COS)}, "");
       for (let i = 0; i < 3; i++) symbols.cos(0);`,
    ],
    { env: { ...process.env, ADALORA_DEBUG_FFI: "1", ADALORA_TRACE_FFI: "1" } },
  );
  const lines = run.stderr.toString().trimEnd().split("\n");
  expect(lines).toHaveLength(5);
  expect(lines[0]).toMatch(/^ffi \S+ cos\(0\) -> 1 {2}[\d.]+ us$/);
  expect(lines[3]).toMatch(/^symbol +calls +total ms +p50 us/);
  expect(lines[4]).toMatch(/ cos +3 +[\d.]+/);
});
