import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tinyRows } from "../cli/tiny-task.ts";
import { commandTest, lossesIn } from "./command.ts";

const { run, path, task, training, start } = commandTest();
const file = path("mine.tsv");
writeFileSync(file, tinyRows(30));

const flags = { data: file, "eval-fraction": 0.2 };
const rowsIn = (out: string) => JSON.parse(readFileSync(join(out, "eval_rows.json"), "utf8"));
const evaluate = (out: string, ...args: string[]) =>
  run(["eval", "--adapter", out, "--device", "reference", "--json", ...args]);

describe("a share of one's own file", () => {
  const out = path("fraction");

  test("is evaluated on, and its rows are saved", async () => {
    const { code, stdout, stderr } = await run([...training({ ...flags, out }), "--json"]);
    expect([code, stderr]).toEqual([0, expect.stringContaining("step 24/24")]);
    expect(rowsIn(out)).toMatchObject({ total: 30 });
    const { rows } = rowsIn(out);
    // classes alternate: 6 of 30 rows, 3 of each class
    expect([rows.length, rows.filter((row: number) => row % 2 === 0).length]).toEqual([6, 3]);
    const { metrics } = JSON.parse(stdout);
    expect(Object.keys(metrics)).toEqual(["validation"]);

    const evaluated = JSON.parse((await evaluate(out)).stdout);
    expect(evaluated.rows).toBe(6);
    expect(evaluated.metrics.validation.loss).toBeCloseTo(metrics.validation.loss, 6);
    expect(JSON.parse((await evaluate(out, "--split", "train")).stdout).rows).toBe(24);
    expect(JSON.parse((await evaluate(out, "--limit", "4")).stdout).rows).toBe(4);
    expect(JSON.parse((await evaluate(out, "--data", file)).stdout).rows).toBe(30);
  });

  test("stays the same when the run is resumed", async () => {
    const whole = path("whole");
    const parts = path("parts");
    await run(training({ ...flags, out: whole }));
    const begun = start(training({ ...flags, out: parts, "save-steps": 4 }));
    await begun.signalAfter("step  9/24", "SIGINT");
    expect((await begun.ended).code).toBe(130);
    const before = rowsIn(parts);
    const resumed = await run(["run", "--resume", "--out", parts]);
    expect([resumed.code, rowsIn(parts)]).toEqual([0, before]);
    expect(lossesIn(parts)).toEqual(lossesIn(whole));
  });

  test("with --train-limit only the rest is limited", async () => {
    const limited = path("limited");
    await run(training({ ...flags, "train-limit": 5, "max-steps": 10, out: limited }));
    expect(rowsIn(limited).rows).toHaveLength(6);
    const { stdout } = await run([
      "plan",
      ...training({ ...flags, "train-limit": 5, "max-steps": 10 }).slice(1),
      "--json",
    ]);
    expect(JSON.parse(stdout).rows).toBe(5);
  });

  test("is refused where the data has a validation split, or --eval-data is given", async () => {
    const own = await run(training({ "eval-fraction": 0.2 }));
    expect([own.code, own.stderr]).toEqual([
      1,
      expect.stringMatching(/--eval-fraction does not apply to data with a validation .*dev\.tsv/),
    ]);
    const both = await run(training({ ...flags, "eval-data": file }));
    expect(both.stderr).toContain("--eval-data and --eval-fraction exclude each other");
  });
});

test("--tune-fraction too: eval takes its rows, and none that are kept for evaluation", async () => {
  const out = path("tuned");
  const short = { "max-steps": 10, "eval-steps": 10, "tune-fraction": 0.25, out };
  const { code, stdout } = await run([...training({ ...flags, ...short }), "--json"]);
  expect(code).toBe(0);
  const { total, rows, unseen } = rowsIn(out);
  expect([total, rows.length, unseen.length, new Set([...rows, ...unseen]).size]).toEqual([
    30, 6, 6, 12,
  ]);
  const evaluated = JSON.parse((await evaluate(out)).stdout);
  expect(evaluated.rows).toBe(6);
  const { loss } = JSON.parse(stdout).metrics.validation;
  expect(evaluated.metrics.validation.loss).toBeCloseTo(loss, 6);
  expect(JSON.parse((await evaluate(out, "--split", "train")).stdout).rows).toBe(18);
  rmSync(join(out, "eval_rows.json")); // earlier versions wrote none
  const words = ["predict", out, "the cat looked", "the moon looked", "--device", "reference"];
  expect(await run(words)).toMatchObject({ code: 0, stderr: "" });
});

test("a run without evaluation data says so at its start", async () => {
  const { stderr } = await run(training({ data: file, "max-steps": 10, out: path("none") }));
  const warning = "warn  no validation split (see --eval-data and --eval-fraction): nothing will";
  expect(stderr).toContain(warning);
  expect(stderr.indexOf(warning)).toBeLessThan(stderr.indexOf("step "));
});

test("a misspelled validation file is an error with a guess", async () => {
  const folder = path("misspelled");
  mkdirSync(folder);
  copyFileSync(join(task.data, "train.tsv"), join(folder, "train.tsv"));
  copyFileSync(join(task.data, "dev.tsv"), join(folder, "vaildation.tsv"));
  const { stdout } = await run(["plan", ...training({ data: folder }).slice(1)]);
  expect(stdout).toContain('did you mean "validation.tsv" instead of "vaildation.tsv"?');
});
