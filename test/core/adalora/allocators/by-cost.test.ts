import { describe, expect, test } from "bun:test";
import type { AllocatorRule } from "../../../../core/adalora/allocator.ts";
import { adaloraAllocator } from "../../../../core/adalora/allocators/adalora.ts";
import { randomAllocator } from "../../../../core/adalora/allocators/random.ts";
import { evenSharesByCost, uniformAllocator } from "../../../../core/adalora/allocators/uniform.ts";
import { budgetAt } from "../../../../core/adalora/budget.ts";
import { tripletCost } from "../../../../core/adalora/triplet-costs.ts";
import { createReferenceBackend } from "../../../../core/backend/reference.ts";
import { tinyAllocator, tinyBatch, tinyModel, tinyTrainer } from "../../../helpers/tiny-model.ts";
import { masters } from "../../../helpers/upload.ts";
import golden from "./by-cost.golden.json" with { type: "json" };

describe("numpy's cut by cost (test/oracle/budget_by_cost.py)", () => {
  for (const { name, matrixCosts, rank, schedule, scores, steps } of golden) {
    test(name, () => {
      const backend = createReferenceBackend();
      const costs = matrixCosts.flatMap((cost) => Array<number>(rank).fill(cost));
      const { final, ...rest } = schedule;
      const falling = { ...rest, finalTuning: final, interval: 1, unit: "parameters" } as const;
      const [from, price, kept] = [scores, costs, scores].map((x) => masters(backend, x));
      const threshold = masters(backend, [0]);
      for (const [step, want] of steps.entries()) {
        const budget = budgetAt(step, falling);
        expect(budget).toBe(want.budget);
        backend.keepTop(from!, budget, kept!, threshold, price);
        expect(backend.download(kept!).join("")).toBe(want.kept);
        const ranks = matrixCosts.map(() => rank);
        expect(evenSharesByCost(ranks, matrixCosts, budget)).toEqual(want.uniform);
      }
    });
  }
});

/** What each of 12 steps of the tiny model leaves of a budget that falls to half its parameters. */
function pruned(rule: AllocatorRule, seed = 11) {
  const backend = createReferenceBackend();
  const model = tinyModel(backend);
  const costs = model.adapters.map(tripletCost);
  const initial = costs.reduce((sum, cost) => sum + 3 * cost, 0);
  const target = Math.floor(initial / 2);
  const schedule = { ...tinyAllocator.schedule, unit: "parameters", initial, target } as const;
  const allocator = { ...tinyAllocator, rule, schedule };
  const trainer = tinyTrainer(backend, model, { allocator, seed });
  const size = (kept: readonly (readonly boolean[])[]) =>
    kept.reduce((sum, of, i) => sum + of.filter(Boolean).length * costs[i]!, 0);
  return Array.from({ length: 12 }, (_, step) => {
    const { mask, budget = 0 } = trainer.step([tinyBatch([step, step + 1, step + 2])]);
    return {
      masked: mask !== undefined,
      budget,
      size: size(trainer.kept()),
      dearest: Math.max(...costs),
      initial,
    };
  });
}

const rules = { adaloraAllocator, randomAllocator, uniformAllocator };
describe("a budget of parameters", () => {
  for (const [name, rule] of Object.entries(rules)) {
    test(`${name} ends within one triplet of it, and never above`, () => {
      const steps = pruned(rule);
      expect(steps[0]).toMatchObject({ masked: false, size: steps[0]!.initial });
      const masked = steps.filter((step) => step.masked);
      expect(masked).toHaveLength(6);
      for (const { budget, size, dearest } of masked) {
        expect(size).toBeLessThanOrEqual(budget);
        expect(size).toBeGreaterThan(budget - dearest);
      }
      expect(masked.at(-1)!.budget).toBe(Math.floor(steps[0]!.initial / 2));
    });
  }
});
