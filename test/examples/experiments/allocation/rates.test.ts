import { describe, expect, test } from "bun:test";
import type { RunLine } from "../../../../examples/experiments/allocation/collect.ts";
import { finalsOf, onlyAtOtherRates } from "../../../../examples/experiments/allocation/rates.ts";
import { withoutRepeats } from "../../../../examples/experiments/allocation/runs.ts";
import { run } from "./run.ts";

/** Tuning runs of an arm, of which the one at `best` scored highest. */
const tuned = (rank: number, arm: string, best: number) =>
  [0.001, 0.002, 0.004].map((lr) =>
    run(rank, arm, lr, { isTuning: true, value: lr === best ? 0.6 : 0.5 }),
  );

/** An arm's name among the finals of a rank, for a run at 0.002. */
const nameOf = (rank: number, arm: string, tuning: readonly RunLine[], trainedRank = rank) =>
  finalsOf(rank, [...tuning, run(trainedRank, arm, 0.002)]).map((final) => final.arm);

describe("the rate that was picked for an arm", () => {
  test("is its own best at its rank; a run at another one has it in its name", () => {
    expect(nameOf(2, "lora", tuned(2, "lora", 0.002))).toEqual(["lora"]);
    expect(nameOf(2, "lora", tuned(2, "lora", 0.004))).toEqual(["lora:lr=0.002"]);
    const otherTask = tuned(2, "lora", 0.004).map((one) => ({ ...one, task: "cola" }));
    expect(nameOf(2, "lora", otherTask)).toEqual(["lora"]);
  });

  test("is the best in the mean of the seeds that tried it", () => {
    const second = [0.001, 0.002, 0.004].map((lr) =>
      run(2, "lora", lr, { isTuning: true, seed: 2, value: lr === 0.002 ? 0.8 : 0.5 }),
    );
    expect(nameOf(2, "lora", [...tuned(2, "lora", 0.004), ...second])).toEqual(["lora"]);
  });

  test("is the next higher rank's where its own was not tuned", () => {
    const tuning = [...tuned(4, "lora", 0.004), ...tuned(2, "lora", 0.002)];
    expect(nameOf(1, "lora", tuning)).toEqual(["lora"]);
    expect(nameOf(4, "lora", tuning)).toEqual(["lora:lr=0.002"]);
  });

  test("is the leader's at the same rank before its own at a higher one", () => {
    for (const [arm, leader] of [
      ["uniform:start=lora", "adalora:start=lora"],
      ["random:start=lora", "adalora:start=lora"],
      ["svd-lora:start=lora", "adalora:start=lora"],
      ["adalora:lr-e=0.02", "adalora"],
      ["uniform", "adalora"],
      ["random:lr-e=0.02", "adalora:lr-e=0.02"],
      ["random:lr-e=0.02", "adalora"],
    ] as const) {
      expect(nameOf(2, arm, [...tuned(4, arm, 0.004), ...tuned(2, leader, 0.002)])).toEqual([arm]);
      const ownToo = [...tuned(2, leader, 0.004), ...tuned(2, arm, 0.002)];
      expect(nameOf(2, arm, ownToo)).toEqual([arm]);
    }
  });

  test("of lora-cut is that of the LoRA of rank 4, at every rank", () => {
    for (const rank of [4, 2, 1]) {
      const tuning = [...tuned(4, "lora", 0.002), ...tuned(2, "lora", 0.004)];
      expect(nameOf(rank, "lora-cut", tuning)).toEqual(["lora-cut"]);
    }
  });

  test("of the LoRA of the initial rank is that of rank 4, and it is named apart", () => {
    const tuning = tuned(4, "lora", 0.002);
    expect(nameOf(4, "lora", tuning, 8)).toEqual(["lora:rank=initial"]);
    expect(nameOf(1, "lora", tuning, 4)).toEqual(["lora:rank=initial"]);
    expect(nameOf(4, "lora", tuned(4, "lora", 0.001), 8)).toEqual(["lora:rank=initial:lr=0.002"]);
  });
});

test("arms that ran at other rates than the picked one alone are found", () => {
  const tuning = [...tuned(4, "lora", 0.002), ...tuned(4, "adalora", 0.004)];
  const lora = [run(4, "lora", 0.001), run(4, "lora", 0.002)];
  const finals = finalsOf(4, [...tuning, ...lora, run(4, "adalora", 0.002)]);
  expect(onlyAtOtherRates(finals).map(({ arm }) => arm)).toEqual(["adalora:lr=0.002"]);
});

test("runs with the same settings count once, those of another seed or purpose apart", () => {
  const one = run(4, "lora", 0.002);
  const others = [run(4, "lora", 0.002, { seed: 2 }), run(4, "lora", 0.002, { isTuning: true })];
  expect(withoutRepeats([one, ...others, { ...one, seconds: 2 }])).toEqual([one, ...others]);
});

test("runs with the same settings and different scores are refused", () => {
  const one = run(4, "lora", 0.002);
  expect(() => withoutRepeats([one, { ...one, value: 0.6 }])).toThrow(
    "runs of rte, rank 4, lora, final, seed 1, 0.002, bf16 differ: 0.5 and 0.6",
  );
});
