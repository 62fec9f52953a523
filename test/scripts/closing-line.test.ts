import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const runner = join(import.meta.dir, "../../scripts/test.ts");
const root = mkdtempSync(join(tmpdir(), "adalora-closing-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Runs the test runner on files of the given content; returns its exit status and last line. */
function close(name: string, files: Record<string, string>, ...args: string[]) {
  const named = Object.entries(files).map(([file, text]) => [
    `${file}.test.ts`,
    `import { expect, test } from "bun:test";\n${text}`,
  ]);
  const { code, last } = closeFolder(name, Object.fromEntries(named), ...args);
  return { code, last };
}

/** The same on files of any name. */
function closeFolder(name: string, files: Record<string, string>, ...args: string[]) {
  const cwd = join(root, name);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, file)), { recursive: true });
    writeFileSync(join(cwd, file), text);
  }
  mkdirSync(cwd, { recursive: true });
  const command = [process.execPath, runner, ...args];
  const ran = Bun.spawnSync(command, { cwd, stdin: "ignore", stderr: "pipe" });
  const [stdout, stderr] = [ran.stdout.toString(), ran.stderr.toString()];
  return { code: ran.exitCode, last: stdout.trimEnd().split("\n").at(-1), stderr };
}

const PASS = 'test("a", () => {}); test("b", () => {});';

test("counts what passed, failed and was skipped", () => {
  expect(close("pass", { a: PASS })).toEqual({ code: 0, last: "2 passed, 0 failed" });
  const skip = 'test.skip("s", () => {});';
  expect(close("skip", { a: PASS + skip })).toEqual({
    code: 0,
    last: "2 passed, 0 failed, 1 skipped",
  });
  const fail = 'test("f", () => { expect(1).toBe(2); });';
  expect(close("fail", { a: PASS, b: fail })).toEqual({ code: 1, last: "2 passed, 1 failed" });
});

test("many files run in several processes, whose counts add up", () => {
  const names = Array.from({ length: 20 }, (_, i) => `file-${String(i).padStart(2, "0")}`);
  const files = Object.fromEntries(names.map((name) => [name, `${PASS} await Bun.sleep(20);`]));
  expect(close("many", files)).toEqual({ code: 0, last: "40 passed, 0 failed" });
  const fail = 'test("f", () => { expect(1).toBe(2); });';
  const bad = { ...files, "file-01": fail, "file-13": 'import "./none.ts";' };
  expect(close("many-bad", bad)).toEqual({ code: 1, last: "36 passed, 2 failed" });
});

test("fuzzing beside all tests counts as one, and takes no part where some are chosen", () => {
  const fuzz = (status: number) => {
    const text = `console.log("1 findings"); process.exit(${status});`;
    return { "scripts/fuzz.ts": text, "a.test.ts": `import { test } from "bun:test"; ${PASS}` };
  };
  expect(closeFolder("fuzzed", fuzz(0))).toMatchObject({ code: 0, last: "3 passed, 0 failed" });
  const { code, last, stderr } = closeFolder("found", fuzz(1));
  expect([code, last]).toEqual([1, "2 passed, 1 failed"]);
  expect(stderr).toContain("fuzzing failed:\n1 findings\n");
  expect(closeFolder("chosen", fuzz(1), "a").last).toBe("2 passed, 0 failed");
});

test("takes parts of paths, and Bun's own flags", () => {
  const files = { one: PASS, two: PASS };
  expect(close("filter", files, "two").last).toBe("2 passed, 0 failed");
  expect(close("flags", files, "-t", "b").last).toBe("2 passed, 0 failed");
});

test("a file that does not load is a failure", () => {
  expect(close("load", { a: PASS, b: 'import "./none.ts";' })).toEqual({
    code: 1,
    last: "2 passed, 1 failed",
  });
});

test("a crash and an empty run are failures", () => {
  const crash = close("crash", { a: PASS, b: 'process.kill(process.pid, "SIGKILL");' });
  expect(crash.code).toBe(1);
  expect(crash.last).toMatch(/^[02] passed, 1 failed$/); // the others may have run before
  expect(close("empty", {})).toEqual({ code: 1, last: "0 passed, 1 failed" });
});
