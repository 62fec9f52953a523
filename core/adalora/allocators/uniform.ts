import { invariant } from "../../errors.ts";
import type { AllocatorRule } from "../allocator.ts";
import { createBudgetedAllocator } from "../budgeted.ts";
import { TripletScores, viewsByRank } from "../triplet-scores.ts";

/**
 * A control for claims about allocation: AdaLoRA's budget, but every matrix is cut alike. Within a matrix
 * the most important triplets are kept, so that only the allocation over matrices differs.
 */
export const uniformAllocator: AllocatorRule = {
  about: "every matrix alike",

  create(context) {
    const { backend, adapters, report } = context;
    const triplets = new TripletScores(context);
    const ranks = adapters.map(({ rank }) => rank);
    const scoresOf = viewsByRank(backend, triplets.scores, adapters);
    const keptOf = viewsByRank(backend, report.kept, adapters);
    const threshold = backend.alloc(backend.master, 1); // of one matrix: not reported
    return createBudgetedAllocator(context, {
      importanceAt: (step) => triplets.importanceAt(step),
      keep(budget) {
        triplets.update();
        evenShares(ranks, budget).forEach((share, i) => {
          if (share === 0) backend.zero(keptOf[i]!);
          else backend.keepTop(scoresOf[i]!, share, keptOf[i]!, threshold);
        });
        backend.upload(report.threshold, [Number.NaN]);
      },
      state: triplets.state,
    });
  },
};

/**
 * Splits a budget over matrices in proportion to their ranks; shares of equal ranks differ by at most 1,
 * and the larger ones are spread evenly over the model.
 */
export function evenShares(ranks: readonly number[], budget: number): readonly number[] {
  const total = ranks.reduce((sum, rank) => sum + rank, 0);
  invariant(budget <= total, "a budget is at most the sum of the ranks");
  let [before, given] = [0, 0];
  return ranks.map((rank) => {
    before += rank;
    const upTo = Math.floor((before * budget) / total);
    const share = upTo - given;
    given = upTo;
    return share;
  });
}
