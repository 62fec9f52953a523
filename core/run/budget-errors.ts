import { AdaloraError } from "../errors.ts";

/** Why a run's phases, ranks or method cannot be used with its model. */
export const budgetErrors = {
  phases(steps: number, initWarmup: number, finalWarmup: number) {
    return new AdaloraError(
      "E_SCHEDULE",
      `--init-warmup ${initWarmup} and --final-warmup ${finalWarmup} leave no steps for pruning: the run has ${steps}`,
      { hint: "train longer, or give shares of the run: --init-warmup 15% --final-warmup 40%" },
    );
  },

  targetAboveStart(
    initRank: number,
    budget: { unit: "ranks" | "parameters"; initial: number; target: number },
  ) {
    const { unit, initial, target } = budget;
    const what = unit === "ranks" ? "triplets" : unit;
    return new AdaloraError(
      "E_SCHEDULE",
      `the target, ${target} ${what} in total, exceeds the start: --init-rank ${initRank} gives ${initial}`,
      { hint: "lower the target, or leave --init-rank out" },
    );
  },

  /** A rank that none of `count` matrices can have; `option` with its value: "--budget 99M". */
  rankAboveMatrices(
    option: string,
    rank: number,
    count: number,
    largest: number,
    hint = "a matrix has at most the rank of its shorter side",
  ) {
    const shownRank = rank.toLocaleString("en", { maximumFractionDigits: 2 });
    return new AdaloraError(
      "E_SCHEDULE",
      `${option} is rank ${shownRank} in each of ${count} matrices: the largest that they can have is ${largest}`,
      { hint },
    );
  },

  /** A budget of parameters that holds no triplet of the largest matrices, of `least` parameters. */
  budgetBelowTriplet(option: string, least: number, hint: string) {
    const rule = `${option} is less than one triplet of the largest matrices, ${least.toLocaleString("en")} parameters`;
    return new AdaloraError("E_SCHEDULE", rule, { hint });
  },

  /** A target that rounds to no triplet at all. */
  targetBelowRankOne(option: string, count: number, hint: string) {
    const rule = `${option} is less than one triplet in all of the ${count} matrices`;
    return new AdaloraError("E_SCHEDULE", rule, { hint });
  },

  nothingTrained(method: string) {
    return new AdaloraError("E_METHOD", `--method ${method} trains nothing of this model`);
  },
};
