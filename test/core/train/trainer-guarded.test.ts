import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { sequenceOutputs } from "../../../core/tasks/sequence-predictions.ts";
import { resumeNewest, saveCheckpoint } from "../../../core/train/checkpoint.ts";
import type { AllocatorOptions } from "../../../core/train/trainer.ts";
import { guarded } from "../../helpers/guarded-backend.ts";
import {
  type TinyOptions,
  tinyAllocator,
  tinyBatch,
  tinyExamples,
  tinyModel,
  tinyTrainer,
} from "../../helpers/tiny-model.ts";
import { tinyProgress } from "../../helpers/tiny-run.ts";

let dir = "";
beforeAll(() => (dir = mkdtempSync(join(tmpdir(), "guarded-"))));
afterAll(() => rmSync(dir, { recursive: true }));

/** A complete AdaLoRA schedule of 12 steps of two micro-batches, with dropout. */
function trained(
  backend: Backend,
  allocator: AllocatorOptions | undefined = tinyAllocator,
  model: TinyOptions = {},
  afterStep: () => void = () => {},
) {
  const labels = model.labels ?? 2;
  const adapted = tinyModel(backend, { dropout: 0.1, ...model });
  const trainer = tinyTrainer(backend, adapted, { allocator }, labels);
  const reports = Array.from({ length: 12 }, (_, i) => {
    const report = trainer.step([tinyBatch([i, i + 1, i + 2]), tinyBatch([i + 3])]);
    afterStep();
    return report;
  });
  trainer.finish();
  return { adapted, trainer, reports };
}

describe("on a device whose memory the host cannot see", () => {
  test("every AdaLoRA step, allocator included, downloads once and matches the reference", () => {
    const plain = trained(createReferenceBackend());
    const guard = guarded(createReferenceBackend());
    let before = 0;
    const perStep: number[] = [];
    const opaque = trained(guard.backend, tinyAllocator, {}, () => {
      perStep.push(guard.downloads() - before);
      before = guard.downloads();
    });
    expect(perStep).toEqual(Array<number>(12).fill(1));
    expect(opaque.reports).toEqual(plain.reports);
    expect(opaque.trainer.kept()).toEqual(plain.trainer.kept());
  });

  for (const [name, allocator, model] of [
    ["PEFT's semantics", { ...tinyAllocator, semantics: "peft" }, {}],
    ["magnitude scores", { ...tinyAllocator, importance: "magnitude" }, {}],
    ["prune-lora", tinyAllocator, { method: "prune-lora" }],
    ["full fine-tuning for regression", undefined, { method: "full", labels: 1 }],
  ] as const)
    test(`${name} too`, () => {
      const guard = guarded(createReferenceBackend());
      trained(guard.backend, allocator, model);
      expect(guard.downloads()).toBe(12);
    });

  test("evaluation downloads once per batch, a checkpoint once per buffer", async () => {
    const guard = guarded(createReferenceBackend());
    const { adapted, trainer } = trained(guard.backend);
    const start = guard.downloads();
    const options = { width: 2, batchSize: 4 };
    const { logits } = await sequenceOutputs(
      guard.backend,
      adapted.model,
      tinyExamples("test", 10),
      options,
    );
    expect(guard.downloads() - start).toBe(3);
    const progress = { ...tinyProgress, step: 12, passes: 24, fingerprint: "f" };
    saveCheckpoint(dir, guard.backend, trainer, progress, 1);
    expect(guard.downloads() - start - 3).toBe(Object.keys(trainer.state).length);

    const other = guarded(createReferenceBackend());
    const resumed = tinyModel(other.backend, { dropout: 0.1, seed: 5 });
    const second = tinyTrainer(other.backend, resumed, { allocator: tinyAllocator });
    resumeNewest(dir, other.backend, second, "f");
    const again = await sequenceOutputs(
      other.backend,
      resumed.model,
      tinyExamples("test", 10),
      options,
    );
    expect(again.logits).toEqual(logits);
  });

  test("the guard rejects every other access to the values", () => {
    const guard = guarded(createReferenceBackend());
    const { backend } = guard;
    const buffer = backend.alloc("f64", 3);
    expect([buffer.dtype, buffer.length]).toEqual(["f64", 3]);
    expect(() => Reflect.get(buffer, "data")).toThrow("a device buffer has no data for the host");
    expect(() => Object.keys(buffer)).toThrow("a device buffer was listed on the host");
    backend.upload(buffer, [1, 2, 3]);
    expect(Array.from(backend.download(backend.view(buffer, 1, 2)))).toEqual([2, 3]);
    expect(guard.downloads()).toBe(1);
  });
});
