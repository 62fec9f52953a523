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

describe("what pruning counts", () => {
  test("is ranks for a target rank, and for the paper's labels", () => {
    for (const values of [{}, { budget: "0.32M" }, { targetTotalRank: 144 }]) {
      expect(target(values).budget).toEqual({ unit: "ranks", initial: 288, target: 144 });
    }
  });

  test("is parameters for any other budget, to the parameter", () => {
    const { budget, targetParameters } = target({ budget: "500k" });
    expect(budget).toEqual({ unit: "parameters", initial: 829_800, target: 500_000 });
    expect(targetParameters).toBe(500_000);
  });

  test("is what --budget-unit says", () => {
    const ofRank = target({ targetRank: 2, budgetUnit: "parameters" });
    expect(ofRank.budget).toEqual({ unit: "parameters", initial: 663_840, target: 331_920 });
    const literal = target({ budget: "0.32M", budgetUnit: "parameters" });
    expect(literal.budget).toMatchObject({ target: 320_000 });
    const ranks = target({ budget: "500k", budgetUnit: "ranks" });
    expect(ranks.budget).toEqual({ unit: "ranks", initial: 360, target: 217 });
  });

  test("a budget above the start is an error in parameters", () => {
    const [problem] = target({ budget: "400k", initRank: 2 }).diagnostics.problems;
    expect(problem?.message).toBe(
      "the target, 400000 parameters in total, exceeds the start: --init-rank 2 gives 331920",
    );
  });

  test("nothing is counted where nothing is pruned", () => {
    expect(target({ method: "lora", budget: "500k" }).budget.unit).toBe("ranks");
  });
});

describe("ranks that the matrices cannot have", () => {
  /** 24 matrices of 64 x 64, as in the demo. */
  const small: ModelSizes = {
    parameters: 143_232,
    matrices: Array.from({ length: 24 }, (_, i) => matrix(`${i}`, 64, 64)),
  };
  const sizes = "rank 1 in each matrix has 3,096 parameters, rank 64, the largest, 198,144";
  const problemOf = (values: Layer["values"], model = small) => {
    const { problems, warnings } = target(values, model).diagnostics;
    expect(problems).toHaveLength(1);
    expect(warnings).toEqual([]);
    return [problems[0]?.message, problems[0]?.hint];
  };
  const above = (option: string, rank: string, count = 24, largest = 64) =>
    `${option} is rank ${rank} in each of ${count} matrices: the largest that they can have is ${largest}`;

  test.each([
    [{ budget: "99M" }, above("--budget 99M", "31,976.74"), `did you mean 99k? ${sizes}`],
    [{ budget: "1M" }, above("--budget 1M", "323"), sizes],
    [{ budget: "900%" }, above("--budget 900%", "416.37"), sizes],
    [{ targetRank: 64.5 }, above("--target-rank 64.5", "64.5"), sizes],
    [{ targetTotalRank: 1537 }, above("--target-total-rank 1537", "64.04"), sizes],
    [{ method: "lora", budget: "99M" }, above("--budget 99M", "32,226.56"), undefined],
    [
      { initRank: 65 },
      above("--init-rank 65", "65"),
      "a matrix has at most the rank of its shorter side",
    ],
    [{ method: "lora", initRank: 100 }, above("--init-rank 100", "100"), undefined],
  ] as const)("%j", (values, message, hint) => {
    const problem = problemOf(values);
    expect(problem[0]).toBe(message);
    if (hint !== undefined) expect(problem[1]).toBe(hint);
  });

  test("are the shorter side's, of the largest matrix", () => {
    const wide = { parameters: 1000, matrices: [matrix("a", 8, 4), matrix("b", 2, 16)] };
    expect(problemOf({ initRank: 5, targetRank: 2 }, wide)[0]).toBe(
      above("--init-rank 5", "5", 2, 4),
    );
    const { problems, warnings } = target({ initRank: 4, targetRank: 2 }, wide).diagnostics;
    expect(problems).toEqual([]);
    expect(warnings).toEqual([
      "the initial rank, 4, is above what 1 of the 2 matrices can have (2 at least): their other triplets are redundant",
    ]);
  });

  test("the paper's initial rank ends at the largest", () => {
    expect(target({ targetRank: 64 }, small)).toMatchObject({
      initRank: 64,
      targetTotalRank: 1536,
    });
    expect(target({ targetRank: 50 }, small)).toMatchObject({ initRank: 64 });
  });

  test("full rank is allowed", () => {
    const { problems } = target({ initRank: 64, targetRank: 8 }, small).diagnostics;
    expect(problems).toEqual([]);
  });

  test.each([
    [{ budget: "0.32" }, "--budget 0.32", `did you mean 0.32M? ${sizes}`],
    [{ budget: "0.1" }, "--budget 0.1", `did you mean 0.1M? ${sizes}`],
    [{ method: "lora", budget: "0.32" }, "--budget 0.32", undefined],
    [{ budget: "0.0001%" }, "--budget 0.0001%", undefined],
    [{ budget: "0" }, "--budget 0", sizes],
    [{ targetRank: 0.001 }, "--target-rank 0.001", sizes],
  ] as const)("less than a triplet: %j", (values, option, hint) => {
    const problem = problemOf(values);
    expect(problem[0]).toBe(`${option} is less than one triplet in all of the 24 matrices`);
    if (hint !== undefined) expect(problem[1]).toBe(hint);
  });

  test("a budget of parameters holds a triplet of the largest matrices", () => {
    const mixed = { parameters: 1000, matrices: [matrix("a", 16, 16), matrix("b", 16, 24)] };
    const below = (option: string) =>
      `${option} is less than one triplet of the largest matrices, 41 parameters`;
    const values = { budget: "40", initRank: 1 };
    expect(problemOf(values, mixed)[0]).toBe(below("--budget 40"));
    expect(problemOf({ ...values, budget: "20" }, mixed)).toEqual([
      below("--budget 20"),
      "did you mean 20%? rank 1 in each matrix has 74 parameters, rank 16, the largest, 1,184",
    ]);
    expect(target({ ...values, budget: "41" }, mixed).diagnostics.problems).toEqual([]);
    // Ranks are counted: any triplet is one.
    const ranks = { ...values, budgetUnit: "ranks" } as const;
    expect(target(ranks, mixed).diagnostics.problems).toEqual([]);
  });

  test("a method without pruning says which rank a budget is rounded to", () => {
    const warningsOf = (budget: string) =>
      target({ method: "lora", budget }, small).diagnostics.warnings;
    expect(warningsOf("11k")).toEqual([
      "--budget 11k is an average rank of 3.58: rank 4 has 12,288 parameters",
    ]);
    expect(warningsOf("12288")).toEqual([]);
  });

  test("less than one triplet a matrix is a warning", () => {
    const warningsOf = (values: Layer["values"]) => {
      const { problems, warnings } = target(values, small).diagnostics;
      expect(problems).toEqual([]);
      return warnings;
    };
    expect(warningsOf({ budget: "2000" })).toEqual([
      "--budget 2000 is 16 triplets in 24 matrices: less than rank 1 in each",
    ]);
    expect(warningsOf({ budget: "150" })).toEqual([
      "--budget 150 is 1 triplet in 24 matrices: less than rank 1 in each (did you mean 150k?)",
    ]);
    expect(warningsOf({ targetTotalRank: 23 })).toHaveLength(1);
    expect(warningsOf({ targetTotalRank: 24 })).toEqual([]);
    expect(warningsOf({ method: "lora", budget: "2000" })).toEqual([
      "--budget 2000 is less than rank 1 in each of 24 matrices, which has 3,072 parameters",
    ]);
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
