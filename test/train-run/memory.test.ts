import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commandTest, lossesIn } from "./command.ts";

const { run, path, training } = commandTest();
const plain = { "cls-dropout": 0, "max-steps": 10 };

/** Bytes that a plan says the run needs. */
async function memoryOf(flags: Record<string, string | number>): Promise<number> {
  const { stdout } = await run(["plan", ...training({ ...plain, ...flags }).slice(1), "--json"]);
  return JSON.parse(stdout).needs.memory;
}

test("--memory splits batches until they fit, says so, and learns the same", async () => {
  const limit = await memoryOf({ "micro-batch": 4, "eval-batch-size": 4 });
  expect(limit).toBeLessThan(await memoryOf({}));
  const [out, whole] = [path("fitted"), path("whole")];
  const { code, stderr, stdout } = await run([
    ...training({ ...plain, memory: limit, out }),
    "--json",
  ]);
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(/the run needs about .* with --micro-batch \d/),
  ]);
  const { microBatch, batchSize } = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
  expect([microBatch < 8, batchSize]).toEqual([true, 8]);
  expect(JSON.parse(stdout).costs.memory.predicted).toBeLessThanOrEqual(limit);
  await run(training({ ...plain, out: whole }));
  const losses = lossesIn(whole);
  lossesIn(out).forEach((loss, i) => expect(loss).toBeCloseTo(losses[i]!, 8));
});

test("--memory that nothing fits into is refused by plan and by run", async () => {
  const flags = { ...plain, memory: "1M" };
  for (const command of ["plan", "run"]) {
    const { code, stderr } = await run([command, ...training(flags).slice(1)]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/--memory 1M is too little: one example at a time .* needs [\d.]+ MiB/),
    ]);
  }
});
