import { expect, test } from "bun:test";
import { armSpecs } from "../../../cli/compare/arm-specs.ts";
import { armConfig, commonRanks, folderNames } from "../../../cli/compare/arms.ts";
import { resolveConfig, type RunConfig } from "../../../core/config/run-config.ts";

/** The configuration of an arm of a comparison with these settings. */
function armOf(word: string, values: Partial<RunConfig>): RunConfig {
  const all = { task: "classification", model: "m", ...values };
  const base = resolveConfig([{ values: all, name: (one) => one }]);
  const [spec] = armSpecs([word]);
  return armConfig(base, spec!, { rank: 4, initRank: 8 });
}

test("--start paper is the start of every arm with E, and of none without", () => {
  const starts = ["adalora", "uniform", "svd-lora", "lora", "lora-cut"].map(
    (arm) => armOf(arm, { start: "paper" }).start,
  );
  expect(starts).toEqual(["paper", "paper", "paper", null, null]);
  expect(armOf("adalora:start=lora", { start: "paper" }).start).toBe("lora");
  expect(armOf("lora", { start: "lora" }).start).toBe("lora");
});

test("arms that prune have parameters for their budget, the others the final rank", () => {
  expect(armOf("uniform", {})).toMatchObject({
    allocator: "uniform",
    initRank: 8,
    targetRank: 4,
    budgetUnit: "parameters",
  });
  expect(armOf("lora", {})).toMatchObject({ initRank: 4, budgetUnit: null });
  expect(armOf("lora-cut", {})).toMatchObject({ initRank: 8, targetRank: 4 });
});

test("the paper's ablations are one word each", () => {
  const configs = (word: string) =>
    armSpecs([word]).map((spec) => {
      const all = { task: "classification", model: "m" } as const;
      const base = resolveConfig([{ values: all, name: (one) => one }]);
      const { method, importance } = armConfig(base, spec, { rank: 4, initRank: 8 });
      return [method, importance];
    });
  expect(configs("table-4")).toEqual([
    ["prune-lora", "ipt"],
    ["adalora", "sensitivity"],
    ["adalora", "magnitude"],
    ["adalora", "ipt"],
  ]);
  expect(configs("table-5").map(([method]) => method)).toEqual([
    "lora",
    "svd-lora",
    "svd-lora",
    "adalora",
    "adalora",
  ]);
  const [, free, , ada] = armSpecs(["table-5"]);
  expect([free?.values, ada?.values]).toEqual([{ regOrthCoef: 0 }, { regOrthCoef: 0 }]);
});

test("an arm's setting is given once", () => {
  expect(() => armSpecs(["lora:lr=0.1:lr=0.2"])).toThrow(
    '"lora:lr=0.1:lr=0.2" gives a setting twice',
  );
});

test.each(["limit", "train-limit", "eval-limit", "text-column", "labels", "target-rank"])(
  "an arm has no %s of its own: all see the same rows and end with the same size",
  (setting) => {
    const word = `adalora:${setting}=2`;
    expect(() => armSpecs([word])).toThrow(`"${word}": ${setting} is the same for all arms`);
  },
);

test.each([
  ["adalora:alocator-x", '"alocator-x" must be NAME=VALUE', undefined],
  ["adalora:strat=lora", 'there is no setting "strat"', "did you mean start?"],
  ["table-4:start=lora", "table-4 stands for several arms, without settings", undefined],
])("%s is refused with what is wrong", (word, message, hint) => {
  const refused = () => armSpecs([word]);
  expect(refused).toThrow(message);
  expect(refused).toThrow(expect.objectContaining({ hint }));
});

test("the common ranks: a whole target, and an initial rank above it that fits the matrices", () => {
  const ranks = (method: RunConfig["method"], initRank: number | null, average: number) => {
    const { rank, initRank: initial } = commonRanks({ method, initRank }, average, 16);
    return [rank, initial];
  };
  expect(ranks("adalora", null, 4)).toEqual([4, 6]);
  // A third of a triplet in each matrix would derive rank 1, from which nothing is pruned.
  expect(ranks("adalora", null, 1 / 3)).toEqual([1, 2]);
  expect(ranks("adalora", 3, 1)).toEqual([1, 3]);
  expect(ranks("adalora", 3, 4)).toEqual([4, 4]);
  expect(ranks("lora", 8, 8)).toEqual([8, 12]);
  expect(ranks("adalora", null, 12)).toEqual([12, 16]);
});

test("folders have short names of their own", () => {
  const long = `adalora:adam-eps=0.${"0".repeat(300)}`;
  const [first = "", second = "", third] = folderNames([`${long}1`, `${long}2`, "lora:lr=0.1"]);
  expect([first.length, third]).toEqual([120, "lora-lr-0.1"]);
  expect(second).toBe(`${first}_2`);
});
