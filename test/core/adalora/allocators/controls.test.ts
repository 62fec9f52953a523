import { describe, expect, test } from "bun:test";
import type { AllocatorRule } from "../../../../core/adalora/allocator.ts";
import { randomAllocator } from "../../../../core/adalora/allocators/random.ts";
import { evenShares, uniformAllocator } from "../../../../core/adalora/allocators/uniform.ts";
import { budgetAt } from "../../../../core/adalora/budget.ts";
import { createReferenceBackend } from "../../../../core/backend/reference.ts";
import { tinyAllocator, tinyBatch, tinyModel, tinyTrainer } from "../../../helpers/tiny-model.ts";

/**
 * The masks after each of 12 steps of a tiny model, whose 12 matrices start at rank 3 and end at
 * half.
 */
function masksOf(rule: AllocatorRule, seed = 11) {
  const backend = createReferenceBackend();
  const allocator = { ...tinyAllocator, rule };
  const trainer = tinyTrainer(backend, tinyModel(backend), { allocator, seed });
  return Array.from({ length: 12 }, (_, step) => {
    const report = trainer.step([tinyBatch([step, step + 1, step + 2])]);
    return { ...report, kept: trainer.kept() };
  });
}

const ranksOf = (kept: readonly (readonly boolean[])[]) =>
  kept.map((triplets) => triplets.filter(Boolean).length);

describe("even shares", () => {
  const cases = [
    [[3, 3, 3, 3], 12, [3, 3, 3, 3]],
    [[3, 3, 3, 3], 8, [2, 2, 2, 2]],
    [[3, 3, 3, 3], 6, [1, 2, 1, 2]],
    [[3, 3, 3, 3], 1, [0, 0, 0, 1]],
    [[3, 3, 3, 3], 0, [0, 0, 0, 0]],
    [[2, 4, 2], 4, [1, 2, 1]],
    [[1, 1, 4], 3, [0, 1, 2]],
  ] as const;
  for (const [ranks, budget, shares] of cases)
    test(`${budget} of ${ranks.join("+")} is ${shares.join("+")}`, () =>
      expect(evenShares(ranks, budget)).toEqual(shares));

  test("no share exceeds its matrix's rank, and they add up to the budget", () => {
    const ranks = [5, 1, 7, 3, 3, 12, 2];
    for (let budget = 0; budget <= 33; budget++) {
      const shares = evenShares(ranks, budget);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(budget);
      for (const [i, share] of shares.entries()) expect(share).toBeLessThanOrEqual(ranks[i]!);
    }
  });
});

describe("uniform", () => {
  const steps = masksOf(uniformAllocator);

  test("prunes every matrix alike, to AdaLoRA's budget", () => {
    for (const { step, mask, kept } of steps) {
      if (!mask) continue;
      const ranks = ranksOf(kept);
      const budget = budgetAt(step, tinyAllocator.schedule);
      expect(ranks).toEqual([...evenShares(Array(12).fill(3), budget)]);
    }
    expect(steps.filter(({ mask }) => mask).map(({ step }) => step)).toEqual([4, 6, 8, 9, 10, 11]);
  });

  test("keeps a matrix's most important triplets, not its first", () => {
    const first = (rank: number) => [0, 1, 2].map((i) => i < rank);
    const { kept = [] } = steps.at(-1) ?? {};
    expect(kept.some((one) => !Bun.deepEquals(one, first(one.filter(Boolean).length)))).toBe(true);
  });

  test("reports no threshold: each matrix has its own", () =>
    expect(steps.map(({ threshold }) => threshold)).toEqual(Array(12).fill(undefined)));
});

describe("random", () => {
  const masks = (seed: number) => masksOf(randomAllocator, seed).map(({ kept }) => kept.flat());

  test("prunes to AdaLoRA's budget, and pruned triplets stay pruned", () => {
    let before = Array<boolean>(36).fill(true);
    for (const { step, mask, kept } of masksOf(randomAllocator)) {
      if (!mask) continue;
      const now = kept.flat();
      expect(now.filter(Boolean)).toHaveLength(budgetAt(step, tinyAllocator.schedule));
      expect(now.every((one, i) => !one || before[i]!)).toBe(true);
      before = now;
    }
  });

  test("depends on the seed alone", () => {
    expect(masks(11)).toEqual(masks(11));
    expect(masks(11).at(-1)).not.toEqual(masks(12).at(-1));
  });
});
