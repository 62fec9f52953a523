import { describe, expect, test } from "bun:test";
import { type Layer, resolveConfig } from "../../../core/config/run-config.ts";
import { type ModelSizes, resolveTarget } from "../../../core/run/target.ts";

/** DeBERTaV3-base: 12 layers of four 768 x 768 matrices and two of 768 x 3072. */
const deberta: ModelSizes = {
  parameters: 184_422_912,
  matrices: Array.from({ length: 12 }, (_, i) => [
    ...["query", "key", "value", "attention.output"].map((name) =>
      matrix(`${i}.${name}`, 768, 768),
    ),
    matrix(`${i}.intermediate`, 768, 3072),
    matrix(`${i}.layer.output`, 3072, 768),
  ]).flat(),
};

function matrix(path: string, inFeatures: number, outFeatures: number) {
  return { path, inFeatures, outFeatures };
}

function target(values: Layer["values"], model = deberta) {
  const recipe = { task: "rte", model: "dir", targetRank: 2 };
  const layers = [
    { values: recipe, name: String },
    { values, name: String },
  ];
  return resolveTarget(resolveConfig(layers), model);
}

describe("the paper's budgets", () => {
  test.each([
    ["0.08%", 1, 2],
    ["0.32M", 2, 4],
    ["0.32m", 2, 4],
    ["0.16%", 2, 4],
    ["0.6M", 4, 6],
    ["1.27M", 8, 12],
    ["0.65%", 8, 12],
  ])("%s is an average rank of %p from %p", (budget, targetRank, initRank) => {
    const total = targetRank * 72;
    expect(target({ budget })).toMatchObject({ targetRank, initRank, targetTotalRank: total });
  });

  test("count A, B and E of every matrix", () => {
    expect(target({ budget: "0.32M" })).toMatchObject({
      initParameters: 663_840,
      targetParameters: 331_920,
    });
  });

  test("are labels for the paper's models only", () => {
    const half = { ...deberta, matrices: deberta.matrices.slice(0, 36) };
    expect(target({ budget: "0.32M" }, half).targetTotalRank).toBe(139); // 320,000 / 82,980 * 36
  });
});

describe("any other budget", () => {
  test("is a count of parameters", () => {
    const { targetTotalRank, targetRank, initRank } = target({ budget: "500k" });
    expect(targetTotalRank).toBe(217); // 500,000 / 165,960 * 72 = 216.9
    expect(targetRank).toBeCloseTo(3.014, 3);
    expect(initRank).toBe(5);
  });

  test("or a percentage of the pretrained model's parameters", () => {
    expect(target({ budget: "0.5%" }).targetTotalRank).toBe(400); // 922,115 / 165,960 * 72 = 400.05
  });

  test("keeps at least one triplet", () => {
    expect(target({ budget: "10" }).targetTotalRank).toBe(1);
  });
});

describe("ranks", () => {
  test("a fractional average is rounded over all matrices", () => {
    expect(target({ targetRank: 1.5 })).toMatchObject({ targetTotalRank: 108, initRank: 3 });
  });

  test("the total can be set instead of the average", () => {
    expect(target({ targetTotalRank: 100, initRank: 4 })).toMatchObject({
      targetTotalRank: 100,
      initTotalRank: 288,
    });
  });

  test("a target above the start is an error", () => {
    const [problem] = target({ targetRank: 8, initRank: 4 }).diagnostics.problems;
    expect(problem?.message).toBe(
      "the target, 576 triplets in total, exceeds the start: --init-rank 4 gives 288",
    );
  });

  test("a target equal to the start means no pruning", () => {
    const { problems, warnings } = target({ targetRank: 4, initRank: 4 }).diagnostics;
    expect(problems).toEqual([]);
    expect(warnings).toEqual(["the target is the initial rank: nothing will be pruned"]);
  });
});

describe("a method that doesn't prune", () => {
  test("uses the recipe's target as its rank, and counts E only if it has one", () => {
    expect(target({ method: "lora" })).toMatchObject({ initRank: 2, initParameters: 331_776 });
    expect(target({ method: "svd-lora" })).toMatchObject({ initRank: 2, initParameters: 331_920 });
  });

  test("or uses --init-rank, or the rank of a budget", () => {
    expect(target({ method: "lora", initRank: 8 })).toMatchObject({ targetTotalRank: 576 });
    expect(target({ method: "lora", budget: "1.27M" }).initRank).toBe(8);
  });
});
