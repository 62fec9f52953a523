import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const runner = join(import.meta.dir, "../../scripts/test.ts");
const root = mkdtempSync(join(tmpdir(), "adalora-closing-"));
afterAll(() => rmSync(root, { recursive: true }));

/** Runs the test runner on files of the given content; returns its exit status and last line. */
function close(name: string, files: Record<string, string>, ...args: string[]) {
  const cwd = join(root, name);
  mkdirSync(cwd);
  for (const [file, text] of Object.entries(files))
    writeFileSync(
      join(cwd, `${file}.test.ts`),
      `import { expect, test } from "bun:test";\n${text}`,
    );
  const ran = Bun.spawnSync([process.execPath, runner, ...args], { cwd, stdin: "ignore" });
  return { code: ran.exitCode, last: ran.stdout.toString().trimEnd().split("\n").at(-1) };
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
