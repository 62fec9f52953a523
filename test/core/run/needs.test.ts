import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { deviceFor } from "../../../cli/backend.ts";
import type { Backend } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { Method } from "../../../core/config/method.ts";
import { resolveConfig } from "../../../core/config/run-config.ts";
import { executeRun } from "../../../core/run/execute.ts";
import { runNeeds } from "../../../core/run/needs.ts";
import { prepareRun } from "../../../core/run/prepare.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { tinyTask } from "../../cli/tiny-task.ts";
import { available } from "../../helpers/available.ts";
import { localSources, quietObserver } from "../../helpers/local-run.ts";

const task = tinyTask();
afterAll(() => rmSync(task.folder, { recursive: true }));

function prepared(method: Method, device: string, batchSize = 20) {
  const values = { task: "rte", model: task.model, data: task.data, method, device } as const;
  const rest = {
    maxSteps: 6,
    batchSize,
    saveSteps: 2,
    saveLimit: 2,
    evalSteps: 3,
    logSteps: 1,
  };
  return prepareRun(
    resolveConfig([{ values: { ...values, ...rest }, name: String }]),
    localSources,
  );
}

const modelOf = (device: string) => deviceFor({ device, dtype: "f32" }).memoryModel("f32");

const bytesIn = (dir: string): number =>
  readdirSync(dir, { recursive: true, encoding: "utf8" }).reduce((sum, name) => {
    const stats = statSync(join(dir, name));
    return sum + (stats.isFile() ? stats.size : 0);
  }, 0);

const cpu = await available(() => createCpuBackend({ threads: 1 }));
const backends: Readonly<Record<string, Backend | undefined>> = {
  reference: createReferenceBackend(),
  cpu: cpu.backend,
};

describe.each(["adalora", "lora", "full"] as const)("what a run of %s needs", (method) => {
  for (const device of Object.keys(backends)) {
    test.skipIf(backends[device] === undefined)(`on ${device} is what it then takes`, async () => {
      const run = await prepared(method, device);
      const needs = await runNeeds(run, await modelOf(device));
      const backend =
        device === "cpu" ? await createCpuBackend({ threads: 1 }) : createReferenceBackend();
      const out = join(task.folder, `${method}-${device}`);
      const options = { out, resume: false, overwrite: false };
      await executeRun(backend, run, options, quietObserver);
      // all 20 rows are in one batch, so the estimate is exact
      expect(needs.training).toBe(backend.memory().peak);
      const [newest = ""] = readdirSync(join(out, "checkpoints")).toSorted().toReversed();
      const checkpoint = statSync(join(out, "checkpoints", newest, "state.safetensors")).size;
      expect(checkpoint - needs.checkpoint).toBeWithin(0, 1000); // its header
      expect(bytesIn(out)).toBeLessThan(needs.disk + 30_000); // headers and configs are extra
    });
  }
});

test("weights counts the frozen parameters in the backend's dtype", async () => {
  const { tree } = (await prepared("bitfit", "cpu")).declared;
  const frozen = [...tree.parameters.values()].filter(
    ({ name }) => !/\.bias$|^(pooler|classifier)\./.test(name),
  );
  const elements = frozen.reduce((sum, { length }) => sum + length, 0);
  for (const [device, bytes] of [
    ["cpu", 4],
    ["reference", 8],
  ] as const) {
    const { weights } = await runNeeds(await prepared("bitfit", device), await modelOf(device));
    expect(weights).toBe(bytes * elements);
  }
});

test("the search for embedding rows ends once batches read no new ones", async () => {
  const run = await prepared("lora", "cpu", 1);
  let batches = 0;
  const train: typeof run.train = Object.assign(Object.create(run.train), {
    batch(features: ArrayLike<number>) {
      batches++;
      return run.train.batch(features);
    },
  });
  await runNeeds({ ...run, train }, await modelOf("cpu"));
  expect([run.train.rows, batches]).toEqual([20, 1 + 6 + 2]); // those two are training steps
});
