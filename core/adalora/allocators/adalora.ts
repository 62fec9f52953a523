import type { AllocatorRule } from "../allocator.ts";
import { createBudgetedAllocator } from "../budgeted.ts";
import { uploadCosts } from "../triplet-costs.ts";
import { TripletScores } from "../triplet-scores.ts";

/**
 * AdaLoRA's rank allocation (paper algorithm 1): keeps the `b(t)` most important triplets of all
 * adapters together, so a matrix may end at any rank, including 0. With a budget of parameters it
 * keeps the most important ones that fit, which leaves less than one triplet of it unused.
 */
export const adaloraAllocator: AllocatorRule = {
  about: "by importance over all matrices, as in the paper",

  create(context) {
    const { backend, report } = context;
    const triplets = new TripletScores(context);
    const costs = uploadCosts(context);
    return createBudgetedAllocator(context, {
      importanceAt: (step) => triplets.importanceAt(step),
      keep(budget) {
        triplets.update();
        backend.keepTop(triplets.scores, budget, report.kept, report.threshold, costs);
      },
      state: triplets.state,
      scores: triplets.scores,
    });
  },
};
