import { expect, test } from "bun:test";
import { armSpecs } from "../../../cli/compare/arm-specs.ts";
import { armConfig } from "../../../cli/compare/arms.ts";
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
