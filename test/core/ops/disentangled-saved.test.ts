import { describe, expect, test } from "bun:test";
import type { Backend } from "../../../core/backend.ts";
import { createCountingBackend } from "../../../core/backend/counting.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { createTrackedBackend } from "../../../core/backend/tracked.ts";
import { type TokenBatch, uploadPacking } from "../../../core/nn/packed-batch.ts";
import { disentangledAttention } from "../../../core/ops/disentangled-attention.ts";
import { paddingRows } from "../../../core/ops/padding-rows.ts";
import { runOn } from "../../conformance/bench.ts";
import { cases } from "../../conformance/cases.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { createRecomputingBackend } from "../../helpers/recomputing-backend.ts";
import { tinyAllocator, tinyBatch, tinyModel, tinyTrainer } from "../../helpers/tiny-model.ts";

describe("a backend chooses what attention saves for its backward pass", () => {
  test("conformance hands each backend what its own forward saved, and the output", () => {
    const [own, reference] = [createRecomputingBackend(), createReferenceBackend()];
    const attention = cases.filter(({ entry }) => entry.startsWith("disentangled"));
    expect(attention.length).toBeGreaterThan(50);
    for (const { run } of attention) expect(runOn(own, run)).toEqual(runOn(reference, run));
  });

  /** Three steps with dropout; the last layer's queries are first tokens only. */
  const train = (backend: Backend, checkpointing: boolean) => {
    const model = tinyModel(backend, { dropout: 0.2 });
    const trainer = tinyTrainer(backend, model, { checkpointing, allocator: tinyAllocator });
    const start = backend.memory().live;
    const reports = [0, 1, 2].map((i) => trainer.step([tinyBatch([i, i + 1, i + 2])]));
    expect(backend.memory().live).toBe(start);
    return { reports, values: backend.download(trainer.arena.values) };
  };

  test.each([false, true])("a training step keeps it until backward, checkpointing %p", (rerun) =>
    expect(train(createTrackedBackend(createRecomputingBackend()), rerun)).toEqual(
      train(createReferenceBackend(), rerun),
    ),
  );

  test("with padding rows, which lie below the output's packed ones", () => {
    const batch: TokenBatch = {
      ids: new Int32Array(3),
      positions: Int32Array.of(0, 1, 0),
      offsets: Int32Array.of(0, 2, 3),
    };
    gradcheck("disentangledAttention", {
      backend: createRecomputingBackend(),
      inputs: { q: [5, 4], k: [5, 4], v: [5, 4] },
      build: (pass, inputs) =>
        disentangledAttention(pass, inputs, {
          shape: {
            packing: uploadPacking(pass, batch),
            queries: "all",
            heads: 2,
            headDim: 2,
            scale: 2.3,
            relative: undefined,
            relativeRows: 0,
            dropout: undefined,
          },
          padding: paddingRows(pass, batch, Int32Array.of(1, 1), "uniform"),
        }),
    });
  });
});

test("memory is counted as the backend saves", () => {
  const peakOf = (counting: Backend) => {
    const trainer = tinyTrainer(counting, tinyModel(counting));
    trainer.step([tinyBatch([3, 4, 5, 6])]);
    return counting.memory().peak;
  };
  const types = { activation: "f32", master: "f32" } as const;
  const saving = (length: number) =>
    createCountingBackend({
      ...types,
      disentangledSaved: () => ({ dtype: "i32", length, readsOut: false }),
    });
  // Two layers save at once, 4 bytes an element.
  expect(peakOf(saving(1100)) - peakOf(saving(1000))).toBe(2 * 100 * 4);
  expect(peakOf(saving(1))).toBeLessThan(peakOf(createCountingBackend(types)));
});
