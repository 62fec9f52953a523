import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { type Layer, resolveConfig } from "../../../core/config/run-config.ts";
import { estimateTime, evaluationsIn } from "../../../core/run/estimate-time.ts";
import { prepareRun } from "../../../core/run/prepare.ts";
import { tinyTask } from "../../cli/tiny-task.ts";
import { localSources } from "../../helpers/local-run.ts";
import { ownCache } from "../../helpers/own-cache.ts";

ownCache();
const task = tinyTask();
afterAll(() => rmSync(task.folder, { recursive: true }));

function prepared(more: Layer["values"]) {
  const values = { task: "rte", model: task.model, data: task.data, device: "reference" };
  const config = { ...values, batchSize: 2, maxSteps: 30, initWarmup: 2, finalWarmup: 3, ...more };
  return prepareRun(resolveConfig([{ values: config, name: String }]), localSources);
}

describe("a run's time", () => {
  test("is made of loading, all steps and all evaluations", async () => {
    const run = await prepared({ evalSteps: 7 });
    const time = await estimateTime(createReferenceBackend(), run);
    expect(time).toMatchObject({ steps: 30, evaluations: 5, measuredSteps: 4 });
    const { loadSeconds, stepSeconds, evaluationSeconds } = time;
    for (const part of [loadSeconds, stepSeconds, evaluationSeconds]) {
      expect(part).toBeGreaterThan(0);
    }
    expect(time.seconds).toBeCloseTo(loadSeconds + 30 * stepSeconds + 5 * evaluationSeconds, 9);
  });

  test("counts as many evaluations as the loop makes: the last one comes after the end", async () => {
    expect(evaluationsIn(await prepared({ evalSteps: 10 }))).toBe(3);
    expect(evaluationsIn(await prepared({ evalSteps: 100 }))).toBe(1);
    expect(evaluationsIn(await prepared({ evalSteps: null }))).toBe(3); // epochs of 10 steps
    expect(evaluationsIn({ ...(await prepared({})), validation: [] })).toBe(0);
  });

  test("of an evaluation is extrapolated from a batch", async () => {
    const run = await prepared({ evalBatchSize: 2 });
    const [text] = run.validationTexts;
    const selected: number[] = [];
    const spied = {
      ...text!,
      parts: {
        ...text!.parts!,
        select(name: string, rows: readonly number[]) {
          selected.push(rows.length);
          return text!.parts!.select(name, rows);
        },
      },
    };
    await estimateTime(createReferenceBackend(), { ...run, validationTexts: [spied] });
    expect(selected).toEqual([2]); // of 6 rows
  });
});
