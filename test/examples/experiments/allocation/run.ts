import type { RunLine } from "../../../../examples/experiments/allocation/collect.ts";

/** A run on RTE, with `more` of its values given. */
export const run = (
  rank: number,
  arm: string,
  lr: number,
  more: Partial<RunLine> = {},
): RunLine => ({
  task: "rte",
  rank,
  arm,
  isTuning: false,
  seed: 1,
  lr,
  dtype: "bf16",
  metric: "accuracy",
  value: 0.5,
  parameters: 1,
  lastLoss: 1,
  seconds: 1,
  trainingSeconds: 1,
  memory: 1,
  cpu: "",
  threads: 1,
  losses: [],
  ranks: [],
  ...more,
});
