import { describe, expect, test } from "bun:test";
import { paperResult } from "../../../cli/report-page/paper.ts";

const rte = {
  task: "rte",
  method: "adalora",
  model: "microsoft/deberta-v3-base",
  modules: ["query", "key", "value", "intermediate", "layer.output", "attention.output"],
  targetRank: 2,
  lr: 1.2e-3,
  regOrthCoef: 0.3,
  epochs: 50,
};

describe("the paper's result", () => {
  test("is that of the task, the method and the average rank", () => {
    expect(paperResult(rte)?.metrics).toEqual({ "": { accuracy: 0.8736 } });
    expect(paperResult({ ...rte, targetRank: 8 })?.metrics).toEqual({ "": { accuracy: 0.8809 } });
    const lora = { ...rte, method: "lora", initRank: 8, targetRank: null, lr: 5e-4 };
    expect(paperResult(lora)?.metrics).toEqual({ "": { accuracy: 0.852 } });
    const mnli = { ...rte, task: "mnli", lr: 5e-4, regOrthCoef: 0.1 };
    expect(paperResult(mnli)?.metrics).toEqual({
      validation_matched: { accuracy: 0.9066 },
      validation_mismatched: { accuracy: 0.907 },
    });
    const squad = { ...rte, task: "squad", targetRank: 1, lr: 1e-3, regOrthCoef: 0.1 };
    expect(paperResult(squad)?.metrics[""]).toMatchObject({ exact: 87.2, f1: 93.4 });
  });

  test.each([
    [{ model: "./my-model" }],
    [{ targetRank: 3 }],
    [{ lr: 1e-4 }],
    [{ regOrthCoef: 0.1 }],
    [{ maxSteps: 100 }],
    [{ limit: 64 }],
    [{ evalFraction: 0.1 }],
    [{ allocator: "random" }],
    [{ modules: ["query"] }],
    [{ method: "bitfit" }],
    [{ task: "wnli" }],
  ])("is missing where the setting is not the paper's: %j", (change) => {
    expect(paperResult({ ...rte, ...change })).toBeUndefined();
  });
});
