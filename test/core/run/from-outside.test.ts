import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { type RunConfig, resolveConfig } from "../../../core/config/run-config.ts";
import { AdaloraError } from "../../../core/errors.ts";
import { writeSafetensors } from "../../../core/io/safetensors.ts";
import { float32Tensor } from "../../../core/io/stored-tensor.ts";
import type { Sources } from "../../../core/model/model-files.ts";
import { createTrainer } from "../../../core/run/create-trainer.ts";
import { executeRun } from "../../../core/run/execute.ts";
import { prepareRun } from "../../../core/run/prepare.ts";
import { builtIn, type Registry } from "../../../core/run/registry.ts";
import { createFamilies } from "../../../core/model/families.ts";
import { plugins } from "../../../plugins/index.ts";
import { tinyTask } from "../../cli/tiny-task.ts";
import { localSources, quietObserver } from "../../helpers/local-run.ts";
import { firstTriplet, meanInput, outsidePlugin, yesOrNo } from "../../helpers/outside.ts";
import { ownCache } from "../../helpers/own-cache.ts";
import { wave } from "../../helpers/wave.ts";

ownCache();
const tiny = tinyTask();
const folder = mkdtempSync(join(tmpdir(), "outside-"));
afterAll(() => [tiny.folder, folder].forEach((dir) => rmSync(dir, { recursive: true })));

const sources: Sources = {
  ...localSources,
  families: () => Promise.resolve(createFamilies([outsidePlugin, ...plugins])),
};

const registry: Registry = {
  tasks: [...builtIn.tasks, yesOrNo],
  allocators: { ...builtIn.allocators, first: firstTriplet },
  starts: { ...builtIn.starts, mean: meanInput },
};

function configOf(values: Partial<RunConfig>): RunConfig {
  const base = { task: "rte", model: tiny.model, data: tiny.data, device: "reference" } as const;
  const schedule = { maxSteps: 12, batchSize: 8, initRank: 3, targetRank: 1, lr: 0.01 } as const;
  return resolveConfig([{ values: { ...base, ...schedule, ...values }, name: String }]);
}

async function run(out: string, values: Partial<RunConfig>, resume = false, stopAfter = Infinity) {
  const prepared = await prepareRun(configOf(values), sources, registry);
  const options = { out: join(folder, out), resume, overwrite: false };
  let steps = 0;
  const onStep = () => void steps++;
  const observer = { ...quietObserver, onStep, stopRequested: () => steps >= stopAfter };
  return executeRun(createReferenceBackend(), prepared, options, observer);
}

describe("an external allocation rule", () => {
  test("determines which triplets a run keeps", async () => {
    const { ranks } = await run("rule", { allocator: "first" });
    expect(Object.values(ranks)).toEqual(Array(12).fill(1));
  });

  test("resumes with its state bit for bit", async () => {
    const values = { allocator: "first", saveSteps: 3 };
    const { stoppedBy } = await run("resumed", values, false, 7);
    expect(stoppedBy).toBe("interrupt");
    await run("resumed", values, true);
    const adapter = (out: string) =>
      readFileSync(join(folder, out, "adapter/adapter_model.safetensors"));
    expect(adapter("resumed").equals(adapter("rule"))).toBe(true);
  });

  test("an unknown name is an error that lists the known ones", async () => {
    const error = await run("unknown", { allocator: "last" }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(AdaloraError);
    expect(String(error)).toContain(
      '--allocator must be one of adalora, uniform, random, first, got "last"',
    );
  });
});

describe("an external start", () => {
  test("sees the frozen model's inputs to every adapted layer, batch by batch", async () => {
    const prepared = await prepareRun(configOf({ start: "mean" }), sources, registry);
    const backend = createReferenceBackend();
    const { adapted } = await createTrainer(backend, prepared);
    for (const { a, path } of adapted.adapters) {
      const rows = Array.from(backend.download(a.buffer));
      const cols = a.shape[1] ?? 0;
      expect([path, rows.some((x) => x !== 0)]).toEqual([path, true]);
      expect(rows.slice(0, cols)).toEqual(rows.slice(cols, 2 * cols));
    }
  });

  test("leaves the adapters attached, so that they are trained", async () => {
    const { ranks } = await run("start", { start: "mean" });
    expect(Object.values(ranks).reduce((sum, rank) => sum + rank, 0)).toBe(12);
  });

  test("that needs E is rejected for a method without E", async () => {
    const error = await run("no-e", { start: "mean", method: "lora", targetRank: null }).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(AdaloraError);
    expect(String(error)).toContain("--start mean does not apply to method lora");
  });
});

describe("an external family and task", () => {
  const model = join(folder, "bag");
  const data = join(folder, "lines");

  beforeAll(() => {
    for (const dir of [model, data]) mkdirSync(dir);
    const config = { model_type: "tiny-outside", vocab_size: 512, hidden_size: 16 };
    writeFileSync(join(model, "config.json"), JSON.stringify(config));
    writeFileSync(join(model, "spm.model"), readFileSync(join(tiny.model, "spm.model")));
    const tensor = (shape: number[], phase: number) => {
      const values = Float32Array.from(
        wave(
          shape.reduce((a, b) => a * b),
          phase,
        ),
      );
      return { dtype: "F32" as const, shape, bytes: () => float32Tensor(shape, values).bytes };
    };
    const tensors = new Map([
      ["words.weight", tensor([512, 16], 1)],
      ["dense.weight", tensor([16, 16], 2)],
      ["dense.bias", tensor([16], 3)],
    ]);
    writeSafetensors(join(model, "model.safetensors"), tensors);
    const lines = "yes|the lion was there\nno|a fox was not\n".repeat(8);
    for (const role of ["train", "validation"]) writeFileSync(join(data, `${role}.txt`), lines);
  });

  test("train together and learn", async () => {
    const { metrics, ranks } = await run("together", {
      task: "yes-or-no",
      model,
      data,
      maxLength: 32,
      maxSteps: 40,
      lr: 0.05,
    });
    expect(metrics["validation"]?.["accuracy"]).toBe(1);
    expect(Object.keys(ranks)).toEqual(["bag.dense.lora_E"]);
  });
});
