import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { glueTasks } from "../../../core/data/glue-tasks.ts";
import { AdaloraError, errors } from "../../../core/errors.ts";
import { sequenceDataset } from "../../../core/tasks/sequence-dataset.ts";
import { saveCheckpoint, stepsIn } from "../../../core/train/checkpoint.ts";
import { trainingOrder } from "../../../core/train/order.ts";
import { tinyAllocator, tinyDataset, tinyExamples } from "../../helpers/tiny-model.ts";
import { type TinyRunOptions, tinyProgress, tinySetup, train } from "../../helpers/tiny-run.ts";

let dir = "";
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "run-"))));
afterEach(() => rmSync(dir, { recursive: true }));

const create = (run: Partial<TinyRunOptions> = {}) => tinySetup({ checkpointDir: dir, ...run });

describe("the loop", () => {
  const schedule = { ...tinyAllocator.schedule, steps: 24 };

  test("steps, evaluates and saves on schedule, and evaluates after the last step", async () => {
    const setup = create();
    const { reports, evaluations, checkpoints, outcome } = await train(setup);
    expect(reports.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(evaluations.map(({ step }) => step)).toEqual([3, 6, 9, 12]);
    expect(checkpoints).toEqual([4, 8, 12]); // the last one before the final evaluation
    expect(outcome).toMatchObject({ steps: 12, stoppedBy: "end" });
    expect(outcome.final).toEqual(evaluations.at(-1)?.evaluations ?? []);
    expect(outcome.final[0]?.split).toBe("validation");
  });

  test("evaluates after one more step where that is requested", async () => {
    const { evaluations } = await train(create({ options: { evalAfter: 5 } }));
    expect(evaluations.map(({ step }) => step)).toEqual([3, 5, 6, 9, 12]);
  });

  test("learns its rows over a complete schedule", async () => {
    const setup = create({
      model: { dropout: 0 },
      setup: { validation: [tinyDataset("train", 19)] },
      options: { steps: 24 },
      trainer: { allocator: { ...tinyAllocator, schedule } },
    });
    const { evaluations, outcome } = await train(setup);
    const losses = evaluations.map((e) => e.evaluations[0]?.loss ?? NaN);
    expect(losses.at(-1)).toBeLessThan(0.5 * (losses[0] ?? NaN));
    expect(outcome.final[0]?.metrics["accuracy"]).toBeGreaterThan(0.9);
    expect(setup.trainer.kept().flat().filter(Boolean)).toHaveLength(18);
  });

  test("ends with pruned triplets at zero, even those that Adam has revived", async () => {
    const setup = create({ options: { steps: 6 } }); // masks in step 4 only
    await train(setup);
    const { backend, trainer } = setup;
    const kept = trainer.kept().flat();
    const e = trainer.adapters.flatMap((adapter) =>
      adapter.e ? Array.from(backend.download(adapter.e.buffer), (x) => x !== 0) : [],
    );
    expect(kept.filter(Boolean)).toHaveLength(23);
    expect(e).toEqual(kept);
  });

  test("trains on the rows of its order, in micro-batches", async () => {
    const seen: number[][] = [];
    const setup = create();
    const step = setup.trainer.startStep.bind(setup.trainer);
    setup.trainer.startStep = (batches) => {
      seen.push(batches.map(({ offsets }) => offsets.length - 1));
      return step(batches);
    };
    await train(setup);
    const epoch = [[3, 3], [3, 3], [3, 3], [1]]; // 19 rows
    expect(seen).toEqual([...epoch, ...epoch, ...epoch]);
  });

  test("--micro-batch changes how a step is computed, not what it learns from", async () => {
    const plain = { model: { dropout: 0 }, trainer: { allocator: undefined } };
    const lossesWith = async (microBatch: number | null) => {
      const { reports } = await train(create({ ...plain, options: { microBatch } }));
      return reports.map(({ taskLoss, gradNorm }) => [taskLoss, gradNorm]).flat();
    };
    const whole = await lossesWith(null);
    const parts = await lossesWith(1);
    expect(parts).not.toEqual(whole); // another order of summation
    parts.forEach((value, i) => expect(value).toBeCloseTo(whole[i]!, 10));
  });

  test("the best evaluation is reported once and kept", async () => {
    const { evaluations, outcome } = await train(create());
    const losses = evaluations.map((e) => -(e.evaluations[0]?.loss ?? NaN));
    let best = -Infinity;
    for (const [i, value] of losses.entries()) {
      expect(evaluations[i]?.isBest).toBe(value > best);
      best = Math.max(best, value);
    }
    expect(outcome.best?.value).toBe(best);
    expect(outcome.best?.step).toBe(evaluations[losses.indexOf(best)]?.step ?? NaN);
  });

  test("without validation data it trains and reports no best step", async () => {
    const { evaluations, outcome } = await train(create({ setup: { validation: [] } }));
    expect(evaluations).toEqual([{ step: 12, evaluations: [], isBest: false }].slice(1));
    expect(outcome).toMatchObject({ steps: 12, best: null, final: [] });
  });

  test("on a stop request it saves and does not evaluate", async () => {
    const { outcome, checkpoints, evaluations } = await train(create(), { stopAfter: 2 });
    expect(outcome).toMatchObject({ steps: 2, stoppedBy: "interrupt", best: null, final: [] });
    expect(checkpoints).toEqual([2]);
    expect(stepsIn(dir)).toEqual([2]);
    expect(evaluations).toEqual([]);
  });

  test("resume without a checkpoint starts from step 0", async () => {
    const { resumed, outcome } = await train(create(), { resume: true });
    expect(resumed).toEqual([{ progress: undefined, damaged: [] }]);
    expect(outcome.steps).toBe(12);
  });
});

describe("an evaluation whose outputs are not finite", () => {
  const dataset = tinyDataset("validation", 8, 100);
  const failing = () => {
    throw errors.outputNotFinite({ split: "validation", what: "logits" }, ["5"], 8);
  };
  const validation = [{ ...dataset, predict: async () => failing() }];

  test("ends the run with its rows, after a checkpoint that resumes", async () => {
    const message =
      "evaluation after step 3: validation: logits must be finite: got NaN or Infinity in 1 of 8 rows, counted from 0: 5";
    const error = await train(create({ setup: { validation } })).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: "E_NOT_FINITE",
      message,
      hint: `inspect these rows; --resume continues from the checkpoint of this step in ${dir}`,
    });
    expect(stepsIn(dir)).toEqual([3]);
    const { resumed, outcome } = await train(create(), { resume: true });
    expect([resumed[0]?.progress?.step, outcome.steps]).toEqual([3, 12]);
  });

  test("at the end too", async () => {
    const options = { evalSteps: 100, saveSteps: 100 };
    await expect(train(create({ setup: { validation }, options }))).rejects.toThrow(
      "after step 12",
    );
    expect(stepsIn(dir)).toEqual([12]);
    const { outcome } = await train(create({ options }), { resume: true });
    expect(outcome.final[0]?.split).toBe("validation");
  });

  test("saves no checkpoint of trained weights that are not finite themselves", async () => {
    const setup = create({ options: { saveSteps: 100 } });
    const { backend, trainer } = setup;
    const broken = {
      ...dataset,
      async predict() {
        backend.upload(
          trainer.arena.values,
          new Float64Array(trainer.arena.values.length).fill(NaN),
        );
        return failing();
      },
    };
    await expect(train({ ...setup, validation: [broken] })).rejects.toMatchObject({
      hint: "the trained weights are not finite either: lower --lr",
    });
    expect(stepsIn(dir)).toEqual([]);
  });
});

describe("early stopping", () => {
  // No weight changes, so no evaluation improves.
  const still = { trainer: { learningRate: () => 0 } };

  test("stops after N evaluations without a better one", async () => {
    const { outcome, evaluations } = await train(
      create({ ...still, options: { evalSteps: 2, earlyStopping: 2 } }),
    );
    expect(outcome).toMatchObject({ steps: 6, stoppedBy: "early stopping", best: { step: 2 } });
    expect(evaluations.map(({ step, isBest }) => [step, isBest])).toEqual([
      [2, true],
      [4, false],
      [6, false],
      [6, false], // the final one
    ]);
  });

  test("counts evaluations from a step on, against the best of those", async () => {
    // Nothing improves: the one after step 7 is the first counted, 8 and 9 are no better.
    const options = { evalSteps: 1, earlyStopping: 2, earlyStoppingFrom: 7, metric: "loss" };
    const { outcome, evaluations } = await train(create({ ...still, options }));
    expect(outcome).toMatchObject({ steps: 9, stoppedBy: "early stopping", best: { step: 1 } });
    expect(evaluations.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 9]);
  });

  test("0 disables it", async () => {
    const { outcome } = await train(create({ ...still, options: { evalSteps: 1 } }));
    expect(outcome).toMatchObject({ steps: 12, stoppedBy: "end" });
  });

  test("a better evaluation resets the count", async () => {
    const { outcome, evaluations } = await train(
      create({
        model: { dropout: 0 },
        trainer: { learningRate: (step) => (step === 5 ? 0.02 : 0), allocator: undefined },
        options: { evalSteps: 2, earlyStopping: 3 },
      }),
    );
    // best at 2; 4 equal; 6 after the only step that moves
    const better = evaluations[2]?.isBest;
    expect(evaluations[1]?.isBest).toBe(false);
    expect(outcome.steps).toBe(better ? 12 : 8);
    expect(better).toBe(true);
  });

  test("the count survives an interruption", async () => {
    const run = { ...still, options: { evalSteps: 1, earlyStopping: 4 } };
    await train(create(run), { stopAfter: 3 }); // best at 1, then 2 without
    const { outcome } = await train(create(run), { resume: true });
    expect(outcome).toMatchObject({ steps: 5, stoppedBy: "early stopping", best: { step: 1 } });
  });

  test("a run killed after the evaluation that ended its patience stops when resumed", async () => {
    const run = { ...still, options: { evalSteps: 1, earlyStopping: 2 } };
    const { backend, trainer } = create(run);
    const best = { step: 1, value: -0.1, metrics: { validation: { loss: 0.1 } } };
    const evaluated = { evaluations: 3, evaluatedStep: 3, best, bestCounted: -0.1 };
    const progress = { ...tinyProgress, ...evaluated, step: 3, evaluationsSinceBest: 2 };
    saveCheckpoint(dir, backend, trainer, progress, 1);
    const { outcome, reports } = await train(create(run), { resume: true });
    expect(outcome).toMatchObject({ steps: 3, stoppedBy: "early stopping", best });
    expect(reports).toEqual([]);
  });

  test("an undefined metric is never the best, but a later defined one may be", async () => {
    const rows = { ...tinyExamples("validation", 8, 100), labels: new Float64Array(8).fill(1) };
    const scored = { glue: glueTasks.stsb, kind: "classification", isWhole: true } as const;
    const run = { setup: { validation: [sequenceDataset(rows, scored)] } };
    const constant = create({ ...run, ...still, options: { metric: "pearson", evalSteps: 1 } });
    const { outcome, evaluations } = await train(constant, { stopAfter: 4 });
    expect(evaluations.map((e) => e.evaluations[0]?.metrics["pearson"])).toEqual([NaN, NaN, NaN]);
    expect(evaluations.some(({ isBest }) => isBest)).toBe(false);
    expect(outcome.best).toBeNull();
    // and such a checkpoint can be read
    const again = create({ ...run, ...still, options: { metric: "pearson", evalSteps: 1 } });
    const { resumed } = await train(again, { resume: true });
    expect(resumed[0]?.progress).toMatchObject({ step: 4, best: null, evaluationsSinceBest: 3 });
    expect(resumed[0]?.damaged).toEqual([]);
  });
});

describe("a loss that is not finite", () => {
  test("stops the run and reports the step, the rows and how to resume", async () => {
    const learningRate = (step: number) => (step === 5 ? NaN : 0.01);
    // The next evaluation would find it first.
    const setup = create({ trainer: { learningRate }, options: { evalSteps: 4 } });
    const rows = trainingOrder(setup.train.lengths, setup.options)(6).flatMap((b) => [...b]);
    let error: unknown;
    try {
      await train(setup);
    } catch (caught) {
      error = caught;
    }
    if (!(error instanceof AdaloraError)) throw new Error("expected an AdaloraError");
    expect(error.message).toBe(
      `step 7: the loss must be finite: got loss NaN, gradient norm NaN (training rows ${rows.join(", ")})`,
    );
    expect(error.hint).toBe(
      `lower --lr, or inspect these rows; --resume continues from the last checkpoint in ${dir}`,
    );
    expect(readdirSync(dir)).toEqual(["step-4"]); // from before the failure, and none later
  });

  describe("after the update of a step whose own loss was", () => {
    const nan = (at: number) => ({ learningRate: (step: number) => (step === at ? NaN : 0.01) });
    const message = "step 6: the trained weights must be finite: got NaN or Infinity";

    test("is found by the checkpoint of that step, which is not written", async () => {
      const setup = create({ trainer: nan(5), options: { evalSteps: 4, saveSteps: 3 } });
      await expect(train(setup)).rejects.toThrow(message);
      expect(stepsIn(dir)).toEqual([3]);
    });

    test("is found by an interrupt, which saves nothing", async () => {
      const setup = create({ trainer: nan(5), options: { evalSteps: 100, saveSteps: 4 } });
      const stopping = train(setup, { stopAfter: 6 });
      await expect(stopping).rejects.toThrow(message);
      expect(stepsIn(dir)).toEqual([4]);
    });
  });

  for (const part of ["taskLoss", "gradNorm"] as const)
    test(`an infinite ${part} alone stops it too`, async () => {
      const setup = create();
      const step = setup.trainer.startStep.bind(setup.trainer);
      setup.trainer.startStep = (batches) => {
        const { report } = step(batches);
        return { report: () => ({ ...report(), [part]: Infinity }) };
      };
      await expect(train(setup)).rejects.toThrow(
        /^step 1: the loss must be finite: got .*Infinity/,
      );
    });

  test("a long list of rows is truncated in the message", async () => {
    const learningRate = () => NaN;
    const setup = create({ trainer: { learningRate }, options: { batchSize: 5 } });
    await expect(train(setup)).rejects.toThrow(/\(training rows (\d+, ){8}…\)$/);
  });
});
