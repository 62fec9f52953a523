import { randomInts, shuffle } from "../../data/shuffle.ts";
import { streamOf } from "../../rng.ts";
import type { AllocatorRule } from "../allocator.ts";
import { createBudgetedAllocator } from "../budgeted.ts";
import { uploadCosts } from "../triplet-costs.ts";
import { tripletCount } from "../triplet-scores.ts";

/**
 * A control for claims about allocation: follows AdaLoRA's budget, but prunes triplets in a random
 * order drawn once from the seed, so pruned triplets stay pruned.
 */
export const randomAllocator: AllocatorRule = {
  about: "at random, by the seed",

  create(context) {
    const { backend, adapters, report, settings } = context;
    const initial = tripletCount(adapters);
    const costs = uploadCosts(context);
    const order = backend.alloc(backend.master, initial);
    const draw = randomInts(settings.seed, 0, streamOf("random allocation"));
    backend.upload(order, shuffle([...Array(initial).keys()], draw));
    return createBudgetedAllocator(context, {
      keep: (budget) => backend.keepTop(order, budget, report.kept, report.threshold, costs),
    });
  },
};
