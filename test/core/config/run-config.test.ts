import { describe, expect, test } from "bun:test";
import { configToJson, type Layer, resolveConfig } from "../../../core/config/run-config.ts";

const layer = (values: Layer["values"]): Layer => ({ values, name: (setting) => `"${setting}"` });
const base = layer({ task: "rte", model: "dir", targetRank: 2, epochs: 50, warmupSteps: 200 });

test("later layers override earlier ones, and defaults fill the rest", () => {
  const config = resolveConfig([base, layer({ lr: 1e-3 }), layer({ lr: 2e-3 })]);
  expect(config).toMatchObject({ task: "rte", lr: 2e-3, beta1: 0.85, targetRank: 2, epochs: 50 });
});

describe("alternatives", () => {
  test("setting one clears the others in lower layers", () => {
    const config = resolveConfig([
      base,
      layer({ budget: "0.32M", maxSteps: 40, warmupRatio: 0.1 }),
    ]);
    expect(config).toMatchObject({ targetRank: null, targetTotalRank: null, budget: "0.32M" });
    expect(config).toMatchObject({
      epochs: null,
      maxSteps: 40,
      warmupSteps: null,
      warmupRatio: 0.1,
    });
  });

  test("two in one layer are an error that names both", () => {
    const two = layer({ budget: "0.32M", targetRank: 2 });
    expect(() => resolveConfig([base, two])).toThrow(
      '"targetRank" and "budget" exclude each other: give one',
    );
  });

  test("null in a layer is not set", () => {
    const config = resolveConfig([base, layer({ budget: null, targetTotalRank: 30 })]);
    expect(config).toMatchObject({ targetRank: null, targetTotalRank: 30 });
  });
});

describe("the initial rank", () => {
  const withInit = layer({ ...base.values, initRank: 4 });

  test("belongs to the target of its layer: another target clears it", () => {
    expect(resolveConfig([withInit]).initRank).toBe(4);
    expect(resolveConfig([withInit, layer({ targetRank: 8 })]).initRank).toBeNull();
    expect(resolveConfig([withInit, layer({ method: "lora" })]).initRank).toBeNull();
  });

  test("is kept if set with the target or in a higher layer", () => {
    expect(resolveConfig([base, layer({ targetRank: 8, initRank: 9 })]).initRank).toBe(9);
    expect(resolveConfig([base, layer({ initRank: 9 })]).initRank).toBe(9);
  });
});

describe("a setting that the method does not use", () => {
  test("is an error in the layer that sets that method", () => {
    const both = layer({ method: "bitfit", targetRank: 2 });
    expect(() => resolveConfig([base, both])).toThrow(
      '"targetRank" does not apply to method bitfit',
    );
    expect(() => resolveConfig([base, layer({ method: "lora", maskInterval: 10 })])).toThrow(
      '"maskInterval" does not apply to method lora',
    );
  });

  test("magnitude needs E, which doublets lack", () => {
    const doublets = layer({ method: "prune-lora" });
    expect(() => resolveConfig([base, layer({ importance: "magnitude" }), doublets])).toThrow(
      "--importance magnitude does not apply to method prune-lora",
    );
    expect(resolveConfig([base, layer({ importance: "magnitude" })]).importance).toBe("magnitude");
  });

  test("is no error in a lower recipe", () => {
    expect(resolveConfig([base, layer({ method: "bitfit" })]).method).toBe("bitfit");
  });

  test("LoRA accepts a budget: a baseline of equal size", () => {
    expect(resolveConfig([base, layer({ method: "lora", budget: "0.32M" })]).budget).toBe("0.32M");
  });
});

test("a task and a model are required", () => {
  expect(() => resolveConfig([layer({ model: "dir" })])).toThrow("no task given");
  expect(() => resolveConfig([layer({ task: "rte" })])).toThrow("no model given");
});

describe("config.json", () => {
  test.each(["adalora", "lora", "bitfit"] as const)("of %s reproduces the run", (method) => {
    const config = resolveConfig([
      base,
      layer({ method, maxSteps: 40, maxGradNorm: 0, out: "runs/a" }),
    ]);
    const json: Layer["values"] = JSON.parse(JSON.stringify(configToJson(config)));
    const again = resolveConfig([layer(json)]);
    expect(configToJson(again)).toEqual(configToJson(config));
    expect(again).toMatchObject({ maxGradNorm: 0, epochs: null, maxSteps: 40, out: null });
  });

  test("omits settings that the method does not use", () => {
    const json = configToJson(resolveConfig([base, layer({ method: "bitfit" })]));
    expect(Object.keys(json)).not.toContain("targetRank");
    expect(Object.keys(json)).toContain("lr");
  });
});
