import { describe, expect, test } from "bun:test";
import { parseArgs } from "../../cli/args.ts";
import { runOptions } from "../../cli/options.ts";
import { recipeNames } from "../../cli/recipes.ts";
import { scriptFlags, withoutLauncher } from "../../cli/reference-flags.ts";
import { resolveRun } from "../../cli/run-config.ts";
import { glueTasks } from "../../core/data/glue-tasks.ts";
import { resolveSchedule } from "../../core/run/phases.ts";
import { settings } from "../../core/config/settings.ts";
import { referenceScripts } from "./reference-scripts.ts";

const resolve = (recipe: string | undefined, ...flags: string[]) =>
  resolveRun(recipe, parseArgs(flags, settings).given).then(({ config }) => config);

/** The paper's appendix C: lr, epochs, gamma, initial warm-up, interval, final warm-up; training rows; steps. */
const paper = [
  ["mnli", [5e-4, 7, 0.1, 8000, 100, 50_000, 392_702, 85_904]],
  ["rte", [1.2e-3, 50, 0.3, 600, 1, 1800, 2490, 3900]],
  ["qnli", [1.2e-3, 5, 0.1, 2000, 100, 8000, 104_743, 16_370]],
  ["mrpc", [1e-3, 30, 0.1, 600, 1, 1800, 3668, 3450]],
  ["qqp", [5e-4, 5, 0.1, 8000, 100, 25_000, 363_846, 56_855]],
  ["sst2", [8e-4, 24, 0.1, 6000, 100, 22_000, 67_349, 50_520]],
  ["cola", [5e-4, 25, 0.5, 800, 10, 3500, 8551, 6700]],
  ["stsb", [2.2e-3, 25, 0.1, 800, 10, 2000, 5749, 4500]],
] as const;

describe("a recipe is the paper's setting", () => {
  test.each(paper)("%s", async (name, values) => {
    const [lr, epochs, regOrthCoef, initWarmup, maskInterval, finalWarmup, rows, steps] = values;
    const config = await resolve(name);
    expect(config).toMatchObject({ task: name, targetRank: 2, initRank: null, batchSize: 32 });
    expect(config).toMatchObject({
      lr,
      epochs,
      regOrthCoef,
      initWarmup,
      maskInterval,
      finalWarmup,
    });
    const schedule = resolveSchedule(config, rows);
    expect(schedule.steps).toBe(steps);
    expect(schedule.diagnostics).toEqual({ problems: [], warnings: [] });
  });
});

/** The settings that the paper doesn't give. */
const open =
  "model maxLength modules alpha beta1 beta2 batchSize warmupSteps warmupRatio weightDecay clsDropout evalSteps";

describe("what the paper leaves open is the authors' script's", () => {
  test.each(paper)("%s", async (name) => {
    const args = withoutLauncher(referenceScripts[name].trim().split(/\s+/));
    const table = { ...settings, ...runOptions, ...scriptFlags(args) };
    const script = await resolveRun(undefined, parseArgs(args, table).given);
    const [fromRecipe, fromScript] = [await resolve(name), script.config].map((config) =>
      Object.entries(config).filter(([key]) => open.split(" ").includes(key)),
    );
    expect(fromRecipe).toEqual(fromScript);
  });
});

test("there is a recipe for every task of the paper; GLUE's cut as their tasks do", async () => {
  const paperTasks = recipeNames.filter((name) => name !== "demo");
  const more = ["squad", "squad_v2", "xsum", "cnn_dailymail"];
  expect(paperTasks.toSorted()).toEqual([...Object.keys(glueTasks), ...more].toSorted());
  for (const task of Object.values(glueTasks)) {
    expect((await resolve(task.name)).maxLength).toBe(task.maxLength);
  }
});

test("wnli has room for its phases", async () => {
  const { phases, diagnostics } = resolveSchedule(await resolve("wnli"), 635);
  expect(phases.map(({ first, last }) => last - first + 1)).toEqual([151, 390, 459]);
  expect(diagnostics).toEqual({ problems: [], warnings: [] });
});

test("flags override the recipe, and --task alone stands for its recipe", async () => {
  expect(await resolve("rte", "--lr", "1e-4", "--budget", "0.32M")).toMatchObject({
    lr: 1e-4,
    budget: "0.32M",
    targetRank: null,
    epochs: 50,
  });
  expect(await resolve(undefined, "--task", "RTE")).toEqual(await resolve("rte"));
});

test("a task without a recipe needs a model", async () => {
  await expect(resolve(undefined, "--task", "classification")).rejects.toThrow("no model given");
});

test("a mistyped recipe is an error with a suggestion", async () => {
  await expect(resolve("sst")).rejects.toMatchObject({
    message: 'no recipe or configuration file "sst"',
    hint: `did you mean sst2? recipes: ${recipeNames.join(", ")}`,
  });
});

test("a flag that the method has no use for is an error", async () => {
  await expect(resolve("rte", "--method", "bitfit", "--target_rank", "2")).rejects.toMatchObject({
    message: "--target_rank does not apply to method bitfit",
    hint: "methods that use it: adalora, prune-lora",
  });
});
