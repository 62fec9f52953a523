import type { AllocatorRule } from "../allocator.ts";
import { createBudgetedAllocator } from "../budgeted.ts";
import { TripletScores } from "../triplet-scores.ts";

/**
 * AdaLoRA's rank allocation (paper algorithm 1): keeps the `b(t)` most important triplets of all
 * adapters together, so a matrix may end at any rank, including 0.
 */
export const adaloraAllocator: AllocatorRule = {
  about: "by importance over all matrices, as in the paper",

  create(context) {
    const { backend, report } = context;
    const triplets = new TripletScores(context);
    return createBudgetedAllocator(context, {
      importanceAt: (step) => triplets.importanceAt(step),
      keep(budget) {
        triplets.update();
        backend.keepTop(triplets.scores, budget, report.kept, report.threshold);
      },
      state: triplets.state,
      scores: triplets.scores,
    });
  },
};
