import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandTest } from "../train-run/command.ts";
import { createInjector, type Injection } from "./inject.ts";
import { faultsIn, survive } from "./kills.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "adalora-inject-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const injector = createInjector(folder);
const { training } = commandTest();

/** `bun run kills --count 1000` does the same for longer. */
test("a run that is killed and resumed again and again gives the same bits", async () => {
  const { findings, ...figures } = await survive({ count: 6, seed: 3 });
  expect(findings).toEqual([]);
  expect(faultsIn({ findings, ...figures })).toBeGreaterThanOrEqual(6);
  expect(figures.runs).toBeGreaterThanOrEqual(1);
});

if (typeof injector === "string") console.warn(`skipped: ${injector}`);
describe.skipIf(typeof injector === "string")("a call on a file can be made to", () => {
  /** Runs a command on a folder of its own. */
  function run(injection: Injection | undefined, command: (dir: string) => readonly string[]) {
    if (typeof injector === "string") throw new Error(injector);
    const dir = mkdtempSync(join(folder, "files-"));
    const line = injector.command(dir, injection, command(dir));
    const { exitCode, stderr } = Bun.spawnSync(line, { stderr: "pipe" });
    return { dir, code: exitCode, stderr: stderr.toString(), counts: injector.counts() };
  }
  const writes = (dir: string) => [
    process.execPath,
    "-e",
    `const { openSync, writeSync } = require("node:fs");
     const fd = openSync(${JSON.stringify(join(dir, "text"))}, "w");
     for (const part of ["abcd", "efgh", "ijkl"]) writeSync(fd, part);`,
  ];
  const textIn = (dir: string) => readFileSync(join(dir, "text"), "utf8");

  test("do what it should, and be counted", () => {
    const { dir, code, counts } = run(undefined, writes);
    expect([code, textIn(dir), counts.get("write")]).toEqual([0, "abcdefghijkl", 3]);
  });

  test("fail", () => {
    const { dir, code, stderr } = run({ call: "write", nth: 2, fault: "ENOSPC" }, writes);
    expect([code, textIn(dir)]).toEqual([1, "abcd"]);
    expect(stderr).toContain("ENOSPC");
  });

  test("be the command's last, and not happen", () => {
    const { dir, code } = run({ call: "write", nth: 2, fault: "kill" }, writes);
    expect([code, textIn(dir)]).toEqual([137, "abcd"]);
  });

  test("be the command's last, and happen in part", () => {
    const { dir, code } = run({ call: "write", nth: 2, fault: "tear" }, writes);
    expect([code, textIn(dir)]).toEqual([137, "abcdef"]);
  });

  test("fail where a run deletes files, which ends it with one line", () => {
    const program = join(import.meta.dir, "../../cli/main.ts");
    const train = (dir: string) => {
      const words = training({ out: join(dir, "run"), "max-steps": 6, "save-steps": 1 });
      return [process.execPath, program, ...words, "--save-limit", "1"];
    };
    const unlink = run(undefined, train).counts.get("unlink") ?? 0;
    const nth = unlink - 3; // of the last checkpoint
    for (const [fault, message] of [
      ["EIO", "the device reports an input or output error"],
      ["ENOSPC", "cannot be deleted"],
    ] as const) {
      const { dir, code, stderr } = run({ call: "unlink", nth, fault }, train);
      const step = join(dir, "run/checkpoints/step-6");
      expect([code, stderr.slice(stderr.indexOf("error  "))]).toEqual([
        1,
        `error  ${step}: ${message}\n`,
      ]);
    }
  });
});
