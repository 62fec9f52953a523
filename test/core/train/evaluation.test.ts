import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resumeNewest, stepsIn } from "../../../core/train/checkpoint.ts";
import { tinyDataset } from "../../helpers/tiny-model.ts";
import {
  type Interruptions,
  resultOf,
  stateOf,
  type TinyRunOptions,
  tinySetup,
  train,
} from "../../helpers/tiny-run.ts";

let dir = "";
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "evaluation-"))));
afterEach(() => rmSync(dir, { recursive: true }));

/** Evaluations after steps 3, 6, 9 and 12, of two batches each; no checkpoints in between. */
const create = (run: Partial<TinyRunOptions> = {}) =>
  tinySetup({ checkpointDir: dir, ...run, options: { saveSteps: 100, ...run.options } });

/** What a training set and a slow evaluation look like to the loop: 20 minutes of tokens. */
function slow(run: TinyRunOptions) {
  const setup = tinySetup({ ...run, options: { saveSteps: 100, ...run.options } });
  const [first] = setup.validation;
  if (!first) throw new Error("a tiny run has validation data");
  const lengths = Int32Array.from({ length: 8 }, () => 100_000_000);
  return { ...setup, validation: [{ ...first, lengths }] };
}

describe("an evaluation that is interrupted", () => {
  const cases: [what: string, how: Interruptions, step: number, evaluations: number[]][] = [
    ["a stop in the first one", { stopAfterBatches: 1 }, 3, []],
    ["a stop in the second one", { stopAfterBatches: 3 }, 6, [3]],
    ["a stop in the final one", { stopAfterBatches: 7 }, 12, [3, 6, 9]],
    ["a kill in the final one", { killAfterBatches: 7 }, 12, [3, 6, 9]],
  ];
  for (const [what, how, step, evaluated] of cases)
    test(`by ${what} loses no step and ends as if it had not been`, async () => {
      const whole = create({ checkpointDir: join(dir, "whole") });
      const expected = await train(whole);
      if (how.stopAfterBatches === undefined) {
        await expect(train(create(), how)).rejects.toThrow("killed");
      } else {
        const first = await train(create(), how);
        expect(first.outcome).toMatchObject({ steps: step, stoppedBy: "interrupt", final: [] });
        expect(first.evaluations.map((one) => one.step)).toEqual(evaluated);
      }
      expect(stepsIn(dir)).toEqual([step]);

      const second = create();
      const rest = await train(second, { resume: true });
      expect(rest.resumed[0]?.progress).toMatchObject({
        step,
        evaluations: evaluated.length,
        evaluatedStep: evaluated.at(-1) ?? 0,
      });
      expect(rest.reports).toEqual(expected.reports.slice(step));
      expect(rest.evaluations.map((one) => [one.step, one.isBest])).toEqual(
        expected.evaluations.slice(evaluated.length).map((one) => [one.step, one.isBest]),
      );
      expect(resultOf(rest.outcome)).toEqual(resultOf(expected.outcome));
      expect(stateOf(second.backend, second)).toEqual(stateOf(whole.backend, whole));
    });

  test("stops after the batch in which the stop was requested", async () => {
    const { batches } = await train(create(), { stopAfterBatches: 1 });
    expect(batches).toEqual([0, 4]);
  });
});

test("an evaluation that fails leaves a checkpoint, from which it is repeated", async () => {
  const broken = create();
  const [first] = broken.validation;
  if (!first) throw new Error("a tiny run has validation data");
  const predict = () => Promise.reject(new Error("out of luck"));
  const failing = { ...broken, validation: [{ ...first, predict }] };
  await expect(train(failing)).rejects.toThrow("out of luck");
  expect(stepsIn(dir)).toEqual([3]);
  const { evaluations } = await train(create(), { resume: true });
  expect(evaluations.map(({ step }) => step)).toEqual([3, 6, 9, 12]);
});

describe("a checkpoint before an evaluation", () => {
  test("is saved where it may take long, by its tokens and the speed of training", async () => {
    // The first evaluation turns out to be quick, so that only the final one has another.
    expect((await train(slow({ checkpointDir: dir }))).checkpoints).toEqual([3, 12]);
  });

  test("is not saved where it takes no time", async () => {
    expect((await train(create())).checkpoints).toEqual([12]);
  });

  test("is brought up to date after it: a resumed run does not repeat the evaluation", async () => {
    await expect(train(slow({ checkpointDir: dir }), { killAfter: 5 })).rejects.toThrow("killed");
    const { backend, trainer } = create();
    const { progress } = resumeNewest(dir, backend, trainer, "this run");
    expect(progress).toMatchObject({
      step: 3,
      evaluations: 1,
      evaluatedStep: 3,
      best: { step: 3 },
    });
    const { evaluations } = await train(create(), { resume: true });
    expect(evaluations.map(({ step }) => step)).toEqual([6, 9, 12]);
  });

  test("and at a step that saves anyway there is one checkpoint", async () => {
    const options = { saveSteps: 3 };
    const { checkpoints } = await train(slow({ checkpointDir: dir, options }));
    expect(checkpoints).toEqual([3, 6, 9, 12]);
  });
});

test("a run that stopped early and is killed in its final evaluation only repeats that", async () => {
  const still = { trainer: { learningRate: () => 0 } };
  const options = { evalSteps: 2, earlyStopping: 1 };
  const run = { ...still, options, setup: { validation: [tinyDataset("validation", 8, 100)] } };
  // Two batches each: after step 2, after step 4, and the final one after step 4.
  await expect(train(create(run), { killAfterBatches: 5 })).rejects.toThrow("killed");
  const rest = await train(create(run), { resume: true });
  expect(rest.resumed[0]?.progress).toMatchObject({ step: 4, evaluations: 2, evaluatedStep: 4 });
  expect(rest.evaluations.map(({ step }) => step)).toEqual([4]);
  expect(rest.outcome).toMatchObject({ steps: 4, stoppedBy: "early stopping", best: { step: 2 } });
});

test("the time of all legs is added up, by phase", async () => {
  const first = await train(create({ setup: { startSeconds: 100 } }), { stopAfterBatches: 7 });
  expect(first.outcome.time.start).toBe(100);
  expect(first.outcome.time.training).toBeGreaterThan(0);
  expect(first.outcome.time.evaluation).toBeGreaterThan(0);
  const second = await train(create({ setup: { startSeconds: 10 } }), { resume: true });
  const before = second.resumed[0]?.progress?.seconds;
  expect(before?.evaluation).toBeGreaterThanOrEqual(0.9 * first.outcome.time.evaluation);
  const { start, training, evaluation } = second.outcome.time;
  expect(start).toBe(110);
  expect(training).toBeGreaterThanOrEqual(before?.training ?? Infinity);
  expect(evaluation).toBeGreaterThan(before?.evaluation ?? Infinity);
});
