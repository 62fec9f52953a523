import { invariant } from "../../errors.ts";
import type { AllocatorRule } from "../allocator.ts";
import { createBudgetedAllocator } from "../budgeted.ts";
import { tripletCost } from "../triplet-costs.ts";
import { TripletScores, viewsByRank } from "../triplet-scores.ts";

/**
 * A control for claims about allocation: follows AdaLoRA's budget, but prunes every matrix by the
 * same share. Each matrix keeps its most important triplets, so only the allocation over matrices
 * differs.
 */
export const uniformAllocator: AllocatorRule = {
  about: "every matrix alike",

  create(context) {
    const { backend, adapters, report, settings } = context;
    const triplets = new TripletScores(context);
    const ranks = adapters.map(({ rank }) => rank);
    const costs = adapters.map(tripletCost);
    const sharesFor = (budget: number) =>
      settings.schedule.unit === "parameters"
        ? evenSharesByCost(ranks, costs, budget)
        : evenShares(ranks, budget);
    const scoresOf = viewsByRank(backend, triplets.scores, adapters);
    const keptOf = viewsByRank(backend, report.kept, adapters);
    const threshold = backend.alloc(backend.master, 1); // per matrix, so not reported
    return createBudgetedAllocator(context, {
      importanceAt: (step) => triplets.importanceAt(step),
      keep(budget) {
        triplets.update();
        sharesFor(budget).forEach((share, i) => {
          if (share === 0) backend.zero(keptOf[i]!);
          else backend.keepTop(scoresOf[i]!, share, keptOf[i]!, threshold);
        });
        backend.upload(report.threshold, [Number.NaN]);
      },
      state: triplets.state,
      scores: triplets.scores,
    });
  },
};

/**
 * Splits a budget over matrices in proportion to their ranks. Shares of equal ranks differ by at
 * most 1, and the larger shares are spread evenly over the model.
 */
export function evenShares(ranks: readonly number[], budget: number): readonly number[] {
  const total = ranks.reduce((sum, rank) => sum + rank, 0);
  invariant(budget <= total, "the budget exceeds the sum of the ranks");
  let [before, given] = [0, 0];
  return ranks.map((rank) => {
    before += rank;
    const upTo = Math.floor((before * budget) / total);
    const share = upTo - given;
    given = upTo;
    return share;
  });
}

/**
 * The even shares of the most triplets whose costs add up to at most `budget`. `costs`: parameters
 * of one triplet of each matrix.
 */
export function evenSharesByCost(
  ranks: readonly number[],
  costs: readonly number[],
  budget: number,
): readonly number[] {
  const all = ranks.reduce((sum, rank) => sum + rank, 0);
  const most = Math.min(all, Math.floor(budget / Math.min(...costs)));
  for (let triplets = most; triplets > 0; triplets--) {
    const shares = evenShares(ranks, triplets);
    if (shares.reduce((sum, share, i) => sum + share * costs[i]!, 0) <= budget) return shares;
  }
  return ranks.map(() => 0);
}
