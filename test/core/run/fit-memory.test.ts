import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { referenceMemory } from "../../../core/backend/reference/memory.ts";
import { resolveConfig } from "../../../core/config/run-config.ts";
import { createTrainer } from "../../../core/run/create-trainer.ts";
import { fitMemory } from "../../../core/run/fit-memory.ts";
import { runNeeds } from "../../../core/run/needs.ts";
import { type PreparedRun, prepareRun } from "../../../core/run/prepare.ts";
import { trainingOrder } from "../../../core/train/order.ts";
import { tinyTask } from "../../cli/tiny-task.ts";
import { localSources } from "../../helpers/local-run.ts";
import { ownCache } from "../../helpers/own-cache.ts";

ownCache();
const task = tinyTask();
afterAll(() => rmSync(task.folder, { recursive: true }));

const values = { task: "rte", model: task.model, data: task.data, device: "reference" } as const;
const options = { maxSteps: 6, batchSize: 16, dropout: 0, clsDropout: 0, evalBatchSize: 6 };
const run = await prepareRun(
  resolveConfig([{ values: { ...values, ...options }, name: String }]),
  localSources,
);

const model = () => Promise.resolve(referenceMemory());
const needed = async (changed: Partial<PreparedRun["config"]>) =>
  (await runNeeds({ ...run, config: { ...run.config, ...changed } }, await model())).memory;
const fit = async (limit: number) => {
  const fitted = await fitMemory(run, limit, model);
  return "run" in fitted ? fitted.changed : fitted.least.memory;
};

describe("a run is fitted into memory", () => {
  test("not at all if it fits", async () => {
    expect(await fit(await needed({}))).toEqual({});
  });

  test("by the largest micro-batches that fit, without checkpointing if possible", async () => {
    const half = await needed({ microBatch: 8 });
    expect(half).toBeLessThan(await needed({}));
    expect(await fit(half)).toEqual({ microBatch: 8 });
    expect(await fit(half - 1)).toEqual({ microBatch: 4 });
  });

  test("by checkpointing where single examples are too large", async () => {
    const least = await needed({ microBatch: 1, evalBatchSize: 1 });
    const fitted = await fitMemory(run, least - 1, model);
    if (!("run" in fitted)) throw new Error("it does not fit");
    expect(fitted.changed.checkpointing).toBe(true);
    expect(fitted.needs.memory).toBeLessThan(least);
    expect(fitted.run.config).toMatchObject({ batchSize: 16, checkpointing: true });
  });

  test("or not, and says what it would need at least", async () => {
    const least = await needed({ microBatch: 1, checkpointing: true, evalBatchSize: 1 });
    expect(await fit(least - 1)).toBe(least);
  });

  test("and learns the same from the same examples", async () => {
    const gradientsOf = async (microBatch: number | null) => {
      const backend = createReferenceBackend();
      const { trainer } = await createTrainer(backend, run);
      const order = trainingOrder(run.train.lengths, { ...run.config, microBatch });
      const { gradNorm } = trainer.step(order(0).map((rows) => run.train.batch(rows)));
      return { gradients: backend.download(trainer.arena.gradients), gradNorm };
    };
    const whole = await gradientsOf(null);
    const parts = await gradientsOf(3);
    expect(whole.gradNorm).toBeGreaterThan(0.01);
    expect(parts.gradNorm).toBeCloseTo(whole.gradNorm, 10);
    whole.gradients.forEach((value, i) => expect(parts.gradients[i]).toBeCloseTo(value, 10));
  });
});
