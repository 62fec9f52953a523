import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { resolveConfig } from "../../../core/config/run-config.ts";
import { executeRun } from "../../../core/run/execute.ts";
import { prepareRun } from "../../../core/run/prepare.ts";
import { stepsIn } from "../../../core/train/checkpoint.ts";
import { tinyTask } from "../../cli/tiny-task.ts";
import { late } from "../../helpers/late-backend.ts";
import { localSources, quietObserver } from "../../helpers/local-run.ts";
import { ownCache } from "../../helpers/own-cache.ts";
import {
  type TinyRunOptions,
  resultOf,
  stateOf,
  tinySetup,
  train,
} from "../../helpers/tiny-run.ts";

ownCache();
let dir = "";
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "late-"))));
afterEach(() => rmSync(dir, { recursive: true }));

const create = (backend: Backend, run: Partial<TinyRunOptions> = {}) =>
  tinySetup({ checkpointDir: join(dir, backend.name), backend, ...run });

/** The reference, and the same as a device that works while the host continues. */
const both = (): [Backend, Backend] => [
  createReferenceBackend(),
  late({ ...createReferenceBackend(), name: "late" }).backend,
];

describe("on a device that works while the host continues", () => {
  test("each step is waited for once, when the next one has been queued", async () => {
    const { backend, events } = late(createReferenceBackend());
    const options = { evalSteps: 100, saveSteps: 100 };
    const { reports } = await train(create(backend, { options, setup: { validation: [] } }));
    expect(reports).toHaveLength(12);
    const whats = events.map(({ what }) => what);
    const steps: (typeof whats)[number][] = [
      "start",
      ...Array.from({ length: 11 }, () => ["start", "wait"] as const).flat(),
      "wait",
    ];
    expect(whats.slice(0, steps.length)).toEqual(steps);
    expect(new Set(whats.slice(steps.length))).toEqual(new Set(["download"])); // the checkpoint
    const queued = events.flatMap((event) => (event.what === "wait" ? [event.queued] : []));
    expect(Math.min(...queued.slice(0, -1))).toBeGreaterThan(100); // the calls of a whole step
    expect(queued.at(-1)).toBe(0);
  });

  test("a run has the same reports, evaluations, checkpoints and bits", async () => {
    const [plain, device] = both().map((backend) => create(backend));
    const [want, got] = [await train(plain!), await train(device!)];
    expect({ ...got, outcome: resultOf(got.outcome) }).toEqual({
      ...want,
      outcome: resultOf(want.outcome),
    });
    expect(want.reports.filter(({ mask }) => mask?.importance)).not.toEqual([]);
    expect(stateOf(device!.backend, device!)).toEqual(stateOf(plain!.backend, plain!));
  });

  test("a stop request reports the steps taken, saves, and resumes to the same bits", async () => {
    const [plain, device] = both();
    const whole = create(plain);
    await train(whole);
    const first = await train(create(device), { stopAfter: 5 });
    expect(first.reports.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4]);
    expect(first.checkpoints).toEqual([4, 5]);
    const second = create(late({ ...createReferenceBackend(), name: "late" }).backend);
    const { reports } = await train(second, { resume: true });
    expect(reports.map(({ step }) => step)).toEqual([5, 6, 7, 8, 9, 10, 11]);
    expect(stateOf(second.backend, second)).toEqual(stateOf(whole.backend, whole));
  });

  test("early stopping stops at the same step", async () => {
    const still = {
      trainer: { learningRate: () => 0 },
      options: { evalSteps: 2, earlyStopping: 2 },
    };
    const [, device] = both();
    const { outcome, reports } = await train(create(device, still));
    expect(outcome).toMatchObject({ steps: 6, stoppedBy: "early stopping", best: { step: 2 } });
    expect(reports).toHaveLength(6);
  });

  test("an error reports the steps that were taken before it", async () => {
    const [, device] = both();
    const setup = create(device, { options: { evalSteps: 100 } });
    const { train: rows } = setup;
    let batches = 0;
    const batch: typeof rows.batch = (indices) => {
      if (batches++ === 6) throw new Error("the fourth step");
      return rows.batch(indices);
    };
    const reported: number[] = [];
    const failing = { ...setup, train: { ...rows, batch } };
    await expect(train(failing, { onStep: (step) => reported.push(step) })).rejects.toThrow(
      "the fourth step",
    );
    expect(reported).toEqual([0, 1, 2]);
  });
});

describe("a loss that is not finite, found one step late", () => {
  const message = async (backend: Backend, at: number, options: TinyRunOptions["options"] = {}) => {
    const learningRate = (step: number) => (step === at ? NaN : 0.01);
    const run = create(backend, { trainer: { learningRate }, options: { ...options } });
    const error: unknown = await train(run).catch((caught: unknown) => caught);
    const saved = stepsIn(join(dir, backend.name));
    return { text: String(error).replaceAll(backend.name, ""), saved };
  };

  // The loss of step at + 2 is the first that is NaN; saveSteps is 4.
  test.each([
    ["in the middle", 5, { evalSteps: 100 }],
    ["before an evaluation", 5, { evalSteps: 7 }],
    ["before a checkpoint", 6, { evalSteps: 100 }],
    ["in the last step", 10, { evalSteps: 100 }],
  ] as const)("%s names the right step and is in no checkpoint", async (_, at, options) => {
    const [plain, device] = both();
    const got = await message(device, at, options);
    expect(got).toEqual(await message(plain, at, options));
    expect(got.text).toContain(`step ${at + 2}: the loss must be finite`);
    expect(Math.max(...got.saved)).toBeLessThanOrEqual(at);
  });

  test("and neither does an interrupt save it", async () => {
    const [, device] = both();
    const learningRate = (step: number) => (step === 5 ? NaN : 0.01);
    const run = create(device, { trainer: { learningRate }, options: { evalSteps: 100 } });
    await expect(train(run, { stopAfter: 7 })).rejects.toThrow("step 7: the loss must be finite");
    expect(stepsIn(join(dir, "late"))).toEqual([4]);
  });
});

test("a run's log is the same, its masks and ranks included", async () => {
  const task = tinyTask();
  const values = { task: "rte", model: task.model, data: task.data, device: "reference" } as const;
  const schedule = { maxSteps: 10, batchSize: 8, initRank: 3, targetRank: 1, lr: 0.01 } as const;
  const masks = { maskInterval: 1, initWarmup: 1, finalWarmup: 3, logSteps: 2 } as const;
  const config = resolveConfig([{ values: { ...values, ...schedule, ...masks }, name: String }]);
  const logOf = async (backend: Backend) => {
    const run = await prepareRun(config, localSources);
    const out = join(dir, backend.name);
    await executeRun(backend, run, { out, resume: false, overwrite: false }, quietObserver);
    const log = readFileSync(join(out, "log.jsonl"), "utf8");
    return log.replaceAll(/,"tokens_per_second":[^,}]+/g, "");
  };
  const [plain, device] = both();
  const [log, plainLog] = [await logOf(device), await logOf(plain)];
  rmSync(task.folder, { recursive: true });
  expect(log).toContain('"singular":');
  expect(log).toContain('"importance":');
  expect(log).toBe(plainLog);
});
