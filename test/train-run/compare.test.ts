import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tinyRows } from "../cli/tiny-task.ts";
import { commandTest } from "./command.ts";

const { run, runProcess, start, task, path } = commandTest();
setDefaultTimeout(900_000); // many processes, on a machine that may be busy

type Flags = Readonly<Record<string, string | number>>;

/** 6 steps with the tiny model on the reference backend. */
const common: Flags = {
  model: task.model,
  data: task.data,
  "max-steps": 6,
  "init-warmup": 1,
  "final-warmup": 2,
  "mask-interval": 1,
  "init-rank": 3,
  "target-rank": 1,
  "batch-size": 8,
  lr: 0.02,
  "warmup-steps": 1,
  dropout: 0,
  "eval-steps": 3,
  "save-steps": 2,
  device: "reference",
};

/** `compare rte` with the tiny model and data; flags override. */
function comparing(out: string, methods: string, flags: Flags = {}, ...more: string[]): string[] {
  const all: Flags = { ...common, methods, out, ...flags };
  const words = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return ["compare", "rte", ...words, ...more];
}

const text = (...parts: string[]) => readFileSync(join(...parts), "utf8");
const resultOf = (out: string) => JSON.parse(text(out, "compare.json"));

describe("compare", () => {
  const whole = path("whole");
  const methods = "lora,lora-cut,adalora,adalora";
  const flags = { seeds: 2 };

  test("runs every arm at one budget, paired by seed", async () => {
    const { code, stdout, stderr } = await runProcess(comparing(whole, methods, flags));
    expect([code, stderr]).toEqual([0, expect.stringContaining("run 8 of 8: adalora-2, seed 2")]);
    // Seed by seed: an interrupted comparison has the same seeds of every arm.
    expect(stderr).toContain("run 5 of 8: lora, seed 2");
    expect(stdout).toContain("rte: accuracy over 2 seeds\n");
    const { arms, rank, matrices, failures, metric } = resultOf(whole);
    expect([rank, matrices, failures, metric]).toEqual([1, 12, [], "accuracy"]);
    const [lora, cut, ada, twin] = arms;
    const [budget] = lora.parameters.end;
    for (const { parameters, values, name } of arms) {
      expect(values, name).toHaveLength(2);
      for (const end of parameters.end) {
        expect(end, name).toBeLessThanOrEqual(budget + matrices); // E's
        expect(end, name).toBeGreaterThan(budget - 41); // a triplet of a 24-wide matrix
      }
    }
    const starts = [lora, cut, ada].map(({ parameters }) => parameters.start);
    expect(starts).toEqual([budget, 3 * budget, 3 * (budget + matrices)]);
    expect(lora.difference).toBeNull();
    expect(twin.values).toEqual(ada.values);
    const differences = ada.values.map((value: number, i: number) => value - lora.values[i]);
    expect(ada.difference.mean).toBeCloseTo((differences[0] + differences[1]) / 2, 12);
    const costs = JSON.parse(text(whole, "costs.json"));
    expect(costs["lora-cut"].seconds).toHaveLength(2);
    expect(costs["adalora"].memory[0]).toBeGreaterThan(1e6);
    expect(text(whole, "report.html")).toContain('<th scope="row">adalora-2');
  });

  test("trains an arm as run does: on the same rows in the same order", async () => {
    const alone = path("alone");
    const arm = join(whole, "adalora", "seed-2");
    expect((await run(["run", join(arm, "config.json"), "--out", alone])).code).toBe(0);
    expect(text(alone, "predictions.jsonl")).toBe(text(arm, "predictions.jsonl"));
  });

  test("two runs at a time, killed several times, ends in the same bytes", async () => {
    const out = path("killed");
    const args = comparing(out, methods, { ...flags, jobs: 2 }, "--resume");
    for (const line of ["run 2 of 8", "run 3 of 8", "run 5 of 8", "run 8 of 8"]) {
      const started = start(args);
      await started.signalAfter(line, "SIGKILL");
      await started.ended;
    }
    const { code, stderr } = await runProcess(args);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    expect(text(out, "compare.json")).toBe(text(whole, "compare.json"));
  });

  test("refuses a folder that holds a comparison, unless it is resumed", async () => {
    const { code, stderr } = await run(comparing(whole, methods, flags));
    expect([code, stderr]).toEqual([1, expect.stringContaining("already holds a comparison")]);
  });

  test("with another setting is refused, and keeps its results", async () => {
    const before = text(whole, "compare.json");
    const refused = async (out: string, more: Flags) => {
      const { code, stderr } = await run(
        comparing(out, methods, { ...flags, ...more }, "--resume"),
      );
      expect([code, stderr]).toEqual([1, expect.stringContaining("was written by a run with")]);
      expect(text(whole, "compare.json")).toBe(before);
      return stderr;
    };
    expect(await refused(whole, { lr: 0.03 })).toContain("another --lr\n");
    expect(await refused(whole, { dropout: 0.1, seeds: 3 })).toContain("another --dropout\n");
  });

  test("tells a failed run, and finishes the others", async () => {
    writeFileSync(join(whole, "adalora", "seed-1", "metrics.json"), "{");
    rmSync(join(whole, "adalora-2", "seed-2", "adapter"), { recursive: true });
    const { code, stdout, stderr } = await runProcess(comparing(whole, methods, flags, "--resume"));
    expect(code).toBe(1);
    expect(stderr).toContain("adalora, seed 1 failed");
    expect(stdout).toContain("failed: adalora, seed 1: ");
    const { arms, failures } = resultOf(whole);
    expect(failures.map((one: { run: string }) => one.run)).toEqual([
      "adalora, seed 1",
      "adalora-2, seed 2",
    ]);
    expect(failures[1].error).toEndWith("adapter: does not exist");
    const [, , ada, twin] = arms;
    expect([ada.seeds, twin.seeds]).toEqual([[2], [1]]);
    expect(ada.difference.wins + ada.difference.ties + ada.difference.losses).toBe(1);
  });

  test("that is interrupted names the command that continues it", async () => {
    const out = path("interrupted");
    const started = start(comparing(out, "lora", { seeds: 2, "max-steps": 2000 }));
    await started.signalAfter("run 1 of 2", "SIGINT");
    const { code, stderr } = await started.ended;
    expect([code, stderr]).toEqual([130, expect.stringContaining("--resume")]);
    expect(readdirSync(out)).not.toContain("compare.json");
  });
});

test("--lr-grid picks rates on rows held out of training, never on the evaluation data", async () => {
  const out = path("own");
  const file = path("mine.tsv");
  writeFileSync(file, tinyRows(30));
  const flags = { data: file, "eval-fraction": 0.2, "lr-grid": "0.005,0.05", "held-out": 0.25 };
  const { code, stderr } = await runProcess(comparing(out, "lora", { ...flags, seeds: "4,6" }));
  expect([code, stderr]).toEqual([0, expect.stringContaining("run 2 of 2: lora, seed 6")]);
  const { arms } = resultOf(out);
  const [{ lr, tried }] = arms;
  expect(tried.map((one: { lr: number }) => one.lr)).toEqual([0.005, 0.05]);
  expect(lr).toBe(tried[1].value > tried[0].value ? 0.05 : 0.005);
  const tune = join(out, "lora", "tune", "lr-0.05");
  const again = { ...flags, seeds: "4,6", "held-out": 0.5 };
  const refused = await run(comparing(out, "lora", again, "--resume"));
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringContaining("another --held-out\n"),
  ]);
  const { tuneFraction, seed, maxSteps } = JSON.parse(text(tune, "config.json"));
  expect([tuneFraction, seed, maxSteps]).toEqual([0.25, 4, 6]);
  // 6 of 30 rows are for evaluation, for both seeds; 6 of the other 24 for the rates
  const rows = (number: number) => text(out, "lora", `seed-${number}`, "eval_rows.json");
  expect(rows(4)).toBe(rows(6));
  expect(text(tune, "predictions.jsonl").trimEnd().split("\n")).toHaveLength(6);
});

test("--lr-seeds picks by the mean of several seeds, and keeps the first seed's runs", async () => {
  const out = path("seeded");
  const flags = { seeds: 2, "lr-grid": "0.005,0.05", "held-out": 0.25 };
  expect((await runProcess(comparing(out, "lora", flags))).code).toBe(0);
  const tune = (name: string) => join(out, "lora", "tune", name);
  const first = text(tune("lr-0.005"), "log.jsonl");
  rmSync(join(out, "lora", "seed-1"), { recursive: true }); // another rate might be picked
  rmSync(join(out, "lora", "seed-2"), { recursive: true });
  const more = comparing(out, "lora", { ...flags, "lr-seeds": 2 }, "--resume");
  const { code, stdout, stderr } = await runProcess(more);
  expect([code, stderr]).toEqual([0, expect.stringContaining("lora, learning rate 0.05, seed 2")]);
  expect(text(tune("lr-0.005"), "log.jsonl")).toBe(first);
  const valueIn = (name: string) =>
    JSON.parse(text(tune(name), "metrics.json")).metrics.validation.accuracy;
  const tried = ["0.005", "0.05"].map((lr) => {
    const values = [valueIn(`lr-${lr}`), valueIn(`lr-${lr}-seed-2`)];
    return { lr: Number(lr), value: (values[0] + values[1]) / 2, values };
  });
  const [arm] = resultOf(out).arms;
  expect(arm.tried).toEqual(tried);
  expect(arm.lr).toBe(tried[1]!.value > tried[0]!.value ? 0.05 : 0.005);
  expect(stdout).toContain("picked by the mean accuracy of 2 seeds on rows held out");
  const { seed } = JSON.parse(text(tune("lr-0.05-seed-2"), "config.json"));
  expect(seed).toBe(2);
});

test("a picked rate that is not that of the runs is refused, and keeps the results", async () => {
  const out = path("regridded");
  const flags = { seeds: 1, "lr-grid": "0.02", "held-out": 0.25, "init-rank": 1, "eval-limit": 4 };
  expect((await runProcess(comparing(out, "lora,lora-cut", flags))).code).toBe(0);
  // Rank 1 cut to rank 1 is the LoRA itself, evaluated on the same 4 of 6 rows.
  const loss = (arm: string, file: string) =>
    JSON.parse(text(out, arm, "seed-1", file)).metrics.validation.loss;
  expect(loss("lora-cut", "cut_metrics.json")).toBeCloseTo(loss("lora", "metrics.json"), 4);
  const before = text(out, "compare.json");
  const other = { ...flags, "lr-grid": "0.03" };
  const { code, stderr } = await runProcess(comparing(out, "lora", other, "--resume"));
  expect([code, stderr]).toEqual([1, expect.stringContaining("another learning rate than 0.03")]);
  expect(text(out, "compare.json")).toBe(before);
});

test.each<[Flags, string]>([
  [{ "held-out": 0.2 }, "--held-out does not apply to a comparison without --lr-grid"],
  [{ "lr-seeds": 2 }, "--lr-seeds does not apply to a comparison without --lr-grid"],
  [{ "lr-grid": "0.1", "lr-seeds": 3, seeds: 2 }, "--lr-seeds must be at most the 2 of --seeds"],
  [{ "lr-grid": "0x10" }, "--lr-grid must be numbers above 0"],
  [{ seeds: "99999999999" }, "--seeds must be 1 to 1000 seeds"],
])("%o is refused", async (flags, message) => {
  const { code, stderr } = await run(comparing(path("refused"), "lora", flags));
  expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
});

test("a target that is no whole rank says at which rank the arms are compared", async () => {
  const file = path("a-file");
  writeFileSync(file, "");
  const { stderr } = await run(comparing(file, "lora", { "target-rank": 1.5 }));
  expect(stderr).toContain(
    "--target-rank 1.5 is an average rank of 1.5: the arms are compared at rank 2, 856 parameters",
  );
  expect(stderr).toContain("a-file is a file, not a folder");
});

test("a run file that is evaluated on training rows is refused", async () => {
  const file = path("tuned.toml");
  writeFileSync(file, "tune_fraction = 0.3\n");
  const [verb = "", recipe = "", ...flags] = comparing(path("refused"), "lora");
  const { code, stderr } = await run([verb, file, "--task", recipe, ...flags]);
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining("tune_fraction does not apply to compare"),
  ]);
});

test.each([
  ["full", 'got "full"'],
  ["adalora:lr=x", "lr must be"],
  ["adalora:seed=3", "seed is the same for all arms"],
  ["lora:lr-e=0.1", "method lora does not use lr-e"],
])("--methods %s is refused", async (methods, message) => {
  const { code, stderr } = await run(comparing(path("refused"), methods));
  expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
});
