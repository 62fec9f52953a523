import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { tinyAllocator, tinyBatch, tinyModel, tinyTrainer } from "../../helpers/tiny-model.ts";

/**
 * 20 steps of AdaLoRA with dropout, masks and two micro-batches per step on the reference backend.
 * The hash may only change in a commit that intends to change numerical results and says so.
 */
test("a fixed run of 20 steps is bit-identical to earlier versions", () => {
  const backend = createReferenceBackend();
  const model = tinyModel(backend, { dropout: 0.2 });
  const schedule = { ...tinyAllocator.schedule, warmup: 4, finalTuning: 6, steps: 20 };
  const trainer = tinyTrainer(backend, model, { allocator: { ...tinyAllocator, schedule } });
  const hash = new Bun.CryptoHasher("sha256");
  for (let step = 0; step < 20; step++) {
    const rows = [0, 1, 2, 3, 4, 5].map((i) => (7 * step + 5 * i) % 19);
    const report = trainer.step([tinyBatch(rows.slice(0, 4)), tinyBatch(rows.slice(4))]);
    const { taskLoss, orthogonalityLoss, gradNorm, threshold = -1 } = report;
    hash.update(new Float64Array([taskLoss, orthogonalityLoss, gradNorm, threshold]));
  }
  hash.update(new Float64Array(backend.download(trainer.arena.values)));
  expect(hash.digest("hex").slice(0, 16)).toBe("32bfe874e84912f7");
});
