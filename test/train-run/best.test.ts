import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readJsonLog } from "../helpers/json-log.ts";
import { commandTest } from "./command.ts";

const { path, run, start, training } = commandTest();

const device = ["--device", "reference"];
/** Flags that the full method does not use. */
const adaptersOnly = ["init-warmup", "final-warmup", "mask-interval", "init-rank", "target-rank"];
const readJson = (...names: string[]) => JSON.parse(readFileSync(path(...names), "utf8"));
/** Its best evaluation, by the loss, is not its last: the rate is far too high. */
const flags = { lr: 0.2, "eval-steps": 4, metric: "loss", seed: 3 };
const out = path("run");
let summary = "";

/** The metrics of the evaluation after a step, as the log has them. */
const logged = (step: number) =>
  readJsonLog(join(out, "log.jsonl")).findLast(
    (one) => one["step"] === step && "evaluation" in one,
  )?.["evaluation"];

beforeAll(async () => {
  const { code, stdout } = await run(training({ ...flags, out }));
  expect(code).toBe(0);
  summary = stdout;
});

describe("the best evaluation of a run", () => {
  test("is in metrics.json with its metrics, beside the last", () => {
    const { best, metrics, steps } = readJson("run", "metrics.json");
    expect(best.step).toBeLessThan(steps);
    expect(best).toMatchObject({ metric: "loss", value: best.metrics.validation.loss });
    expect(best.metrics).toEqual(logged(best.step));
    expect(metrics).toEqual(logged(24));
    expect(best.value).toBeLessThan(metrics.validation.loss);
  });

  test("is in the summary with its metrics, and which weights eval and predict take", () => {
    const { best, metrics } = readJson("run", "metrics.json");
    const value = (of: { validation: { loss: number } }) => of.validation.loss.toFixed(4);
    expect(summary).toContain(`validation loss                   ${value(metrics)}\n`);
    expect(summary).toContain(`best step                         ${best.step}\n`);
    expect(summary).toContain(`best validation loss              ${value(best.metrics)}\n`);
    expect(summary).toContain("last; --which best takes the best\n");
  });

  test("is what a resumed run that has ended reports too", async () => {
    const again = await run(["run", "--resume", "--out", out, "--json"]);
    expect(JSON.parse(again.stdout).best).toEqual(readJson("run", "metrics.json").best);
  });
});

describe("--which", () => {
  test.each([
    ["last", [] as string[]],
    ["last", ["--which", "last"]],
    ["best", ["--which", "best"]],
  ])("eval takes the %s weights with %p, and says so", async (which, words) => {
    const { best, metrics, steps } = readJson("run", "metrics.json");
    const args = ["eval", "--adapter", out, ...device, ...words];
    const found = JSON.parse((await run([...args, "--json"])).stdout);
    const expected = which === "best" ? best.metrics : metrics;
    expect(found.which).toBe(which);
    expect(found.metrics.validation.loss).toBeCloseTo(expected.validation.loss, 6);
    const [step, other] = which === "best" ? [best.step, steps] : [steps, best.step];
    const otherName = which === "best" ? "last" : "best";
    expect((await run(args)).stdout).toContain(
      `weights                           ${which} (step ${step}); --which ${otherName} takes those of step ${other}\n`,
    );
  });

  test("predict takes either, and says which beside its files", async () => {
    const predict = async (...words: string[]) =>
      run(["predict", "--adapter", out, ...device, ...words, "the cat", "a cat"]);
    const [last, best] = [await predict(), await predict("--which", "best")];
    expect([last.stderr, best.stderr]).toEqual(["", ""]);
    expect(best.stdout).not.toBe(last.stdout);
    const adapter = ["--adapter", join(out, "best_adapter")];
    const folder = await run(["predict", ...adapter, ...device, "the cat", "a cat"]);
    expect([folder.stdout, folder.stderr]).toEqual([best.stdout, ""]);
    const files = (await predict("--out", path("files"))).stdout;
    expect(files).toMatch(/^weights: last \(step 24\); --which best takes those of step \d+$/m);
    const json = await predict("--which", "best", "--out", path("json"), "--json");
    expect(JSON.parse(json.stdout).which).toBe("best");
  });

  test("of a fully fine-tuned model takes model/ or best_model/", async () => {
    const full = path("full");
    const { code } = await run(
      training({ ...flags, lr: 0.01, method: "full", out: full }, adaptersOnly),
    );
    expect(code).toBe(0);
    const { best, metrics } = readJson("full", "metrics.json");
    const lossOf = async (...words: string[]) => {
      const { stdout } = await run(["eval", "--model", full, ...device, "--json", ...words]);
      return JSON.parse(stdout).metrics.validation.loss;
    };
    expect(await lossOf()).toBeCloseTo(metrics.validation.loss, 5);
    expect(await lossOf("--which", "best")).toBeCloseTo(best.metrics.validation.loss, 5);
  });

  test("needs a run's folder", async () => {
    const own = ["--adapter", join(out, "adapter"), "--which", "best", ...device];
    const { code, stderr } = await run(["eval", ...own]);
    expect([code, stderr]).toEqual([
      1,
      `error  ${join(out, "adapter")}: holds one set of weights, not a run's two\n  hint: --which best chooses in a run's folder, such as ${out}\n`,
    ]);
  });

  test("points to the best weights of a run that has not ended", async () => {
    const cut = path("cut");
    const started = start(training({ ...flags, out: cut }));
    await started.signalAfter("best so far", "SIGINT");
    await started.ended;
    expect(existsSync(join(cut, "adapter"))).toBe(false);
    const { code, stderr } = await run(["eval", "--adapter", cut, ...device]);
    expect([code, stderr]).toEqual([
      1,
      `error  ${cut}: holds no last weights: the run has not ended\n  hint: --which best takes the best ones\n`,
    ]);
    const best = await run(["eval", "--adapter", cut, ...device, "--which", "best"]);
    expect([best.code, best.stdout]).toEqual([0, expect.stringContaining("  best\n")]);
  });

  test("says nothing of a choice where the best evaluation is the last", async () => {
    const same = path("same");
    cpSync(out, same, { recursive: true });
    rmSync(join(same, "best_adapter"), { recursive: true });
    const { stdout } = await run(["eval", "--adapter", same, ...device]);
    expect(stdout).toContain("weights                           last (step 24)\n");
  });
});

describe("early stopping", () => {
  /** Nothing improves after the first evaluation; the budget is reached after step 19. */
  const still = { lr: 1e-12, "eval-steps": 2, "early-stopping": 1, metric: "accuracy" };

  test("counts evaluations from where the budget is reached", async () => {
    const { code, stdout, stderr } = await run(training({ ...still, out: path("budget") }));
    expect([code, stderr]).toEqual([0, expect.not.stringContaining("before the budget")]);
    expect(stdout).toContain("22 steps in");
    expect(readJson("budget", "metrics.json")).toMatchObject({
      steps: 22,
      stopped_by: "early stopping",
      best: { step: 2 },
      total_rank: { reached: 12, target: 12 },
    });
  });

  test("from the start ends before it on request, and warns", async () => {
    const from = { "early-stopping-from": "start" };
    const { code, stderr } = await run(training({ ...still, ...from, out: path("start") }));
    expect(code).toBe(0);
    expect(stderr).toContain(
      "warn  stopped early, before the budget was reached: a total rank of 36 after step 4, where 12 is the target from step 19 on\n",
    );
    expect(readJson("start", "metrics.json")).toMatchObject({
      steps: 4,
      total_rank: { reached: 36, target: 12 },
    });
  });
});
