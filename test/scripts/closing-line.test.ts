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

test("many files run in several processes, whose counts add up; one that crashes costs its own", () => {
  const names = Array.from({ length: 40 }, (_, i) => `file-${String(i).padStart(2, "0")}`);
  const files = Object.fromEntries(names.map((name) => [name, PASS]));
  expect(close("many", files)).toEqual({ code: 0, last: "80 passed, 0 failed" });
  const fail = 'test("f", () => { expect(1).toBe(2); });';
  const bad = { ...files, "file-01": fail, "file-03": 'process.kill(process.pid, "SIGKILL");' };
  const { code, last } = close("crash-of-many", bad);
  expect(code).toBe(1);
  expect(last).toMatch(/^5\d passed, 2 failed$/); // 14 of the 40 shared the process
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
  expect(crash).toEqual({ code: 1, last: "0 passed, 1 failed" });
  expect(close("empty", {})).toEqual({ code: 1, last: "0 passed, 1 failed" });
});
