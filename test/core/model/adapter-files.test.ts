import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { adaLoraAdapter, applyAdapter, loraAdapter } from "../../../core/model/adapter-files.ts";
import type { AdaptedModel } from "../../../core/model/open-model.ts";
import { sequenceLoss } from "../../../core/tasks/sequence-loss.ts";
import { tinyAllocator, tinyBatch, tinyModel, tinyTrainer } from "../../helpers/tiny-model.ts";

const backend = createReferenceBackend();
const settings = { taskType: "SEQ_CLS", baseModel: "base", alpha: 16, initRank: 3 } as const;
const schedule = { targetRank: 2, initWarmup: 2, finalWarmup: 4, maskInterval: 2, totalSteps: 12 };
const options = { ...settings, ...schedule, beta1: 0.85, beta2: 0.85, regOrthCoef: 0.1 };

/** The loss of a model on rows that it was not trained on. */
function lossOf({ model }: AdaptedModel): number {
  let loss = NaN;
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    const { buffer } = sequenceLoss(model, "classification")(pass, tinyBatch([101, 102, 103, 104]));
    loss = backend.download(buffer)[0] ?? NaN;
  });
  return loss;
}

test("an adapter saved between two masks is what was evaluated: Adam has revived pruned triplets", () => {
  const trained = tinyModel(backend);
  const trainer = tinyTrainer(backend, trained, { allocator: tinyAllocator });
  for (let step = 0; step < 6; step++) trainer.step([tinyBatch([step, step + 1, step + 2])]);
  const kept = trainer.kept(); // by the mask of step 4; step 5 has no mask
  const e = trained.adapters.flatMap((one) =>
    one.e ? Array.from(backend.download(one.e.buffer)) : [],
  );
  const revived = kept.flat().filter((isKept, i) => !isKept && e[i] !== 0);
  expect(revived.length).toBeGreaterThan(0);

  const adapter = adaLoraAdapter(backend, trained, kept, options);
  const base = tinyModel(backend, { method: "head" });
  applyAdapter(backend, base, adapter, "the adapter");
  expect(lossOf(base)).toBeCloseTo(lossOf(trained), 6);
  const saved = adapter.modules.reduce((sum, { A }) => sum + (A.shape[0] ?? 0), 0);
  expect(saved).toBe(kept.flat().filter(Boolean).length + revived.length);
});

test("so is one of prune-LoRA, whose pruned rows and columns Adam has moved off zero", () => {
  const trained = tinyModel(backend, { method: "prune-lora" });
  const own = { allocator: tinyAllocator, orthogonality: 0 };
  const trainer = tinyTrainer(backend, trained, own);
  for (let step = 0; step < 6; step++) trainer.step([tinyBatch([step, step + 1, step + 2])]);
  const kept = trainer.kept();
  const { taskType, baseModel, alpha } = settings;
  const adapter = loraAdapter(backend, trained, kept, { taskType, baseModel, alpha });
  const base = tinyModel(backend, { method: "head" });
  applyAdapter(backend, base, adapter, "the adapter");
  expect(lossOf(base)).toBeCloseTo(lossOf(trained), 6);
  const saved = adapter.modules.reduce((sum, { A }) => sum + (A.shape[0] ?? 0), 0);
  expect(saved).toBeGreaterThan(kept.flat().filter(Boolean).length);
});

test("after the last mask is applied again only what it keeps is saved", () => {
  const trained = tinyModel(backend);
  const trainer = tinyTrainer(backend, trained, { allocator: tinyAllocator });
  for (let step = 0; step < 6; step++) trainer.step([tinyBatch([step, step + 1, step + 2])]);
  trainer.finish();
  const kept = trainer.kept();
  const adapter = adaLoraAdapter(backend, trained, kept, options);
  expect(adapter.modules.map(({ mask }) => mask)).toEqual([...kept]);
});
