import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Backend } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { createTrainer } from "../../../core/run/create-trainer.ts";
import { prepareRun } from "../../../core/run/prepare.ts";
import { rankPattern } from "../../../core/run/run-files.ts";
import { trainingOrder } from "../../../core/train/order.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { available } from "../../helpers/available.ts";
import { continuedPath, continuedRun, type continuedRuns } from "../../helpers/continued-runs.ts";
import { localSources } from "../../helpers/local-run.ts";

// PEFT's own continuation of its adapters, with a fresh optimizer: test/oracle/peft_continued.py.
const expected: Readonly<
  Record<keyof typeof continuedRuns, { losses: number[]; ranks?: Record<string, number> }>
> = JSON.parse(readFileSync(continuedPath("expected.json"), "utf8"));

/** Losses of each step, orthogonality included as PEFT does, and the ranks at the end. */
async function continued(backend: Backend, name: keyof typeof continuedRuns) {
  const run = await prepareRun(await continuedRun(name), localSources);
  const { trainer } = await createTrainer(backend, run);
  const order = trainingOrder(run.train.lengths, run.config);
  const losses = expected[name].losses.map((_, step) => {
    const report = trainer.step(order(step).map((features) => run.train.batch(features)));
    const { method, regOrthCoef } = run.config;
    return report.taskLoss + (method === "adalora" ? regOrthCoef * report.orthogonalityLoss : 0);
  });
  trainer.finish();
  return { losses, ranks: rankPattern(trainer, trainer.kept(), run) };
}

const distance = (got: readonly number[], want: readonly number[]) =>
  Math.max(...want.map((value, i) => Math.abs(got[i]! - value) / Math.abs(value)));

const cpu = await available(() => createCpuBackend({ threads: 1 }));

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the file's keys are the runs'
const names = Object.keys(expected) as (keyof typeof continuedRuns)[];

for (const name of names) {
  test(`${name}: training on from PEFT's adapter gives the losses of PEFT's own continuation`, async () => {
    const { losses, ranks } = await continued(createReferenceBackend(), name);
    expect(distance(losses, expected[name].losses)).toBeLessThan(1e-10);
    if (expected[name].ranks) expect(ranks).toEqual(expected[name].ranks);
  });

  test.skipIf(!cpu.backend)(`${name}: the same in float32`, async () => {
    const { losses } = await continued(cpu.backend!, name);
    expect(distance(losses, expected[name].losses)).toBeLessThan(1e-5);
  });
}

test("a budget of parameters below one triplet is refused before training on", async () => {
  const values = await continuedRun("adalora");
  const budget = { targetRank: null, targetTotalRank: null, budget: "20" };
  await expect(prepareRun({ ...values, ...budget }, localSources)).rejects.toThrow(
    "--budget 20 is less than one triplet of the largest matrices, 29 parameters",
  );
});
