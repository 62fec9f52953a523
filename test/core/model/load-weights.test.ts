import { describe, expect, test } from "bun:test";
import type { HostTensor } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import {
  adoptWeights,
  initializeWeights,
  loadWeights,
  matchWeights,
} from "../../../core/model/load-weights.ts";
import { ModuleScope } from "../../../core/nn/module-scope.ts";
import type { ModelPlugin } from "../../../core/model/plugin.ts";
import { normals } from "../../../core/rng.ts";

const plugin: Pick<ModelPlugin, "name" | "weights"> = {
  name: "toy",
  weights: {
    prefix: "toy.",
    rename: [[/\.gamma$/, ".weight"]],
    ignore: [/^lm_head\./],
    fresh: [/^classifier\./],
  },
};

const stored = (shape: readonly number[], ...numbers: number[]): HostTensor => ({
  dtype: "F32",
  shape,
  bytes: new Uint8Array(Float32Array.from(numbers).buffer),
});

const whole = {
  "toy.dense.weight": stored([1, 2], 1, 2),
  "toy.dense.bias": stored([1], 3),
  "toy.norm.weight": stored([2], 4, 5),
  "toy.norm.bias": stored([2], 6, 7),
  "toy.conv": stored([1, 1, 2], 8, 9),
};

function toyScope(): ModuleScope {
  const scope = ModuleScope.root();
  const body = scope.child("toy");
  body.linear("dense", 2, 1, 0.5);
  body.layerNorm("norm", 2, 1e-5);
  body.parameter("conv", [1, 2], { normal: 0.5 }, [1, 1, 2]);
  scope.linear("classifier", 2, 2, 0.5);
  return scope;
}

function load(tensors: Readonly<Record<string, HostTensor>>, seed = 1) {
  const backend = createReferenceBackend();
  const { tree } = toyScope();
  const where = "model.safetensors";
  const entries = new Map(Object.entries(tensors));
  const fresh = loadWeights(backend, tree, entries, plugin, { where, seed });
  const numbers = (name: string) => {
    const parameter = tree.parameters.get(name);
    return parameter ? Array.from(backend.download(parameter.buffer)) : [];
  };
  return { fresh: fresh.map(({ name }) => name), numbers };
}

const without = (key: keyof typeof whole): Readonly<Record<string, HostTensor>> => {
  const { [key]: _, ...rest } = whole;
  return rest;
};

describe("loadWeights", () => {
  test("a constant that the checkpoint may lack has its fill, which nothing trains", () => {
    const backend = createReferenceBackend();
    const scope = ModuleScope.root();
    const constant = scope.constant("offset", [2], "ones");
    const open = { name: "toy", weights: { ...plugin.weights, fresh: [/^offset$/] } };
    const matched = matchWeights(scope.tree, new Map(), open, "x");
    expect([matched.fresh, [...matched.constants.keys()]]).toEqual([[], [constant]]);
    adoptWeights(backend, matched);
    expect(Array.from(backend.download(constant.buffer))).toEqual([1, 1]);
    expect(() =>
      loadWeights(backend, scope.tree, new Map(), plugin, { where: "x", seed: 1 }),
    ).toThrow("x: 1 weights are missing: offset");
  });

  test("gives each parameter its numbers; what the checkpoint may lack is filled and reported", () => {
    const { fresh, numbers } = load(whole);
    expect(fresh).toEqual(["classifier.weight", "classifier.bias"]);
    expect(numbers("toy.dense.weight")).toEqual([1, 2]);
    expect(numbers("toy.norm.bias")).toEqual([6, 7]);
    expect(numbers("toy.conv")).toEqual([8, 9]); // stored [1, 1, 2], seen as [1, 2]
    expect(numbers("classifier.bias")).toEqual([0, 0]);
    expect(numbers("classifier.weight").every((x) => x !== 0 && Math.abs(x) < 3)).toBe(true);
  });

  test("the fill is a function of seed and name", () => {
    const weight = load(whole).numbers("classifier.weight");
    expect(load(whole).numbers("classifier.weight")).toEqual(weight);
    expect(load(whole, 2).numbers("classifier.weight")).not.toEqual(weight);
  });

  test("a bare backbone has its keys without the prefix", () => {
    const bare = Object.entries(whole).map(([key, t]) => [key.replace("toy.", ""), t] as const);
    const { numbers, fresh } = load(Object.fromEntries(bare));
    expect(numbers("toy.dense.weight")).toEqual([1, 2]);
    expect(fresh).toEqual(["classifier.weight", "classifier.bias"]);
  });

  test("old names are rewritten, and known needless keys are dropped", () => {
    const old = { ...without("toy.norm.weight"), "toy.norm.gamma": stored([2], 40, 50) };
    const { numbers } = load({ ...old, "lm_head.weight": stored([2], 0, 0) });
    expect(numbers("toy.norm.weight")).toEqual([40, 50]);
  });

  test("a missing weight is named", () => {
    expect(() => load(without("toy.norm.bias"))).toThrow(
      "model.safetensors: 1 weights are missing: toy.norm.bias",
    );
    expect(() => load({})).toThrow(
      "5 weights are missing: toy.dense.weight, toy.dense.bias, toy.norm.weight, …",
    );
  });

  test("a key that is neither mapped nor ignored is named with the plugin", () => {
    const extra = { ...whole, "toy.dense.weight2": stored([1], 0) };
    expect(() => load(extra)).toThrow(
      'model.safetensors: 1 keys are neither mapped nor ignored by plugin "toy": toy.dense.weight2',
    );
  });

  test("another shape is named with both, also where the count of numbers is the same", () => {
    expect(() => load({ ...whole, "toy.dense.weight": stored([2, 1], 1, 2) })).toThrow(
      "model.safetensors: toy.dense.weight must be [1, 2] for this config.json: got [2, 1]",
    );
    expect(() => load({ ...whole, "toy.conv": stored([1, 2], 1, 2) })).toThrow(
      "toy.conv must be [1, 1, 2] for this config.json: got [1, 2]",
    );
  });
});

test("parameters whose numbers come from elsewhere are neither missed nor taken from the checkpoint", () => {
  const { tree } = toyScope();
  const given = new Set(["toy.norm.bias", "toy.conv", "classifier.weight"]);
  const tensors = new Map(Object.entries(without("toy.norm.bias")));
  const { found, fresh } = matchWeights(tree, tensors, plugin, "model.safetensors", given);
  expect([...found.keys()].map(({ name }) => name)).toEqual([
    "toy.dense.weight",
    "toy.dense.bias",
    "toy.norm.weight",
  ]);
  expect(fresh.map(({ name }) => name)).toEqual(["classifier.bias"]);
});

test("initializeWeights fills everything as it was declared", () => {
  const backend = createReferenceBackend();
  const scope = ModuleScope.root();
  scope.linear("dense", 3, 2, 0.5);
  scope.layerNorm("norm", 2, 1e-5);
  initializeWeights(backend, scope.tree, 9);
  const numbers = [...scope.tree.parameters.values()].map(
    ({ name, buffer }) => [name, Array.from(backend.download(buffer))] as const,
  );
  const of = new Map(numbers);
  expect(of.get("dense.bias")).toEqual([0, 0]);
  expect(of.get("norm.weight")).toEqual([1, 1]);
  expect(of.get("norm.bias")).toEqual([0, 0]);
  const weight = of.get("dense.weight") ?? [];
  expect(new Set(weight).size).toBe(6);
  expect(weight).not.toEqual(Array.from(normals(6, 0.5, 9, 0))); // a stream of its own
});

describe("ModuleScope", () => {
  test("the path in the code spells the path in the checkpoint", () => {
    const scope = ModuleScope.root();
    const linear = scope.child("encoder").child("layer.0").linear("dense", 3, 2, 0.1);
    expect(linear.path).toBe("encoder.layer.0.dense");
    expect([...scope.tree.parameters.keys()]).toEqual([
      "encoder.layer.0.dense.weight",
      "encoder.layer.0.dense.bias",
    ]);
    expect([linear.inFeatures, linear.outFeatures]).toEqual([3, 2]);
    expect(scope.tree.linears.get("encoder.layer.0.dense")).toBe(linear);
  });

  test("one name twice is a bug that is named", () => {
    const scope = ModuleScope.root();
    scope.linear("dense", 3, 2, 0.1);
    expect(() => scope.linear("dense", 3, 2, 0.1)).toThrow(
      "internal: parameter dense.weight is declared twice",
    );
  });

  test("a parameter says when it has no numbers, or another count of them", () => {
    const scope = ModuleScope.root();
    const { weight } = scope.linear("dense", 3, 2, 0.1);
    expect(() => weight.buffer).toThrow("internal: parameter dense.weight has no numbers yet");
    expect(() => (weight.buffer = createReferenceBackend().alloc("f64", 5))).toThrow(
      "internal: dense.weight: 5 numbers for [2, 3]",
    );
  });
});
