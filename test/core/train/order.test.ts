import { describe, expect, test } from "bun:test";
import { trainingOrder } from "../../../core/train/order.ts";

// 23 rows: 6 batches of 4 rows per epoch, the last of 3; 4 batches per step, then the remaining 2
const lengths = Array.from({ length: 23 }, (_, i) => 3 + ((i * 7) % 11));
const options = { batchSize: 4, gradAccum: 4, seed: 9, bucketed: true };
const rows = (step: readonly Uint32Array[]) => step.flatMap((batch) => Array.from(batch));

describe("trainingOrder", () => {
  test("each epoch sees every row once; its last step has the remainder", () => {
    const order = trainingOrder(lengths, options);
    for (const epoch of [0, 1, 2]) {
      const steps = [order(2 * epoch), order(2 * epoch + 1)];
      expect(steps.map((step) => step.length)).toEqual([4, 2]);
      expect(steps.flatMap(rows).toSorted((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
    }
    expect(rows(order(0))).not.toEqual(rows(order(2)));
  });

  test("depends on the step alone, so a resumed run sees the same batches", () => {
    const straight = trainingOrder(lengths, options);
    const all = [0, 1, 2, 3, 4, 5, 6].map((step) => rows(straight(step)));
    for (const step of [6, 3, 4, 0, 5, 1, 2]) {
      expect(rows(trainingOrder(lengths, options)(step))).toEqual(all[step]!);
      expect(rows(straight(step))).toEqual(all[step]!); // also after jumping back
    }
  });

  test("micro-batches are parts of the batches: every step has the same rows", () => {
    const whole = trainingOrder(lengths, options);
    const parts = trainingOrder(lengths, { ...options, microBatch: 3 });
    for (const step of [0, 1, 2]) expect(rows(parts(step))).toEqual(rows(whole(step)));
    expect(parts(0).map(({ length }) => length)).toEqual([3, 1, 3, 1, 3, 1, 3, 1]);
    expect(parts(1).map(({ length }) => length)).toEqual([3, 1, 3]);
    expect(trainingOrder(lengths, { ...options, microBatch: 99 })(0)).toEqual([...whole(0)]);
  });

  test("another seed has another order", () => {
    const other = trainingOrder(lengths, { ...options, seed: 10 });
    expect(rows(other(0))).not.toEqual(rows(trainingOrder(lengths, options)(0)));
  });

  test("with fewer rows than a batch, an epoch is one step", () => {
    const order = trainingOrder([5, 6], options);
    expect([order(0), order(1)].map((step) => rows(step).toSorted((a, b) => a - b))).toEqual([
      [0, 1],
      [0, 1],
    ]);
  });
});
