import { describe, expect, test } from "bun:test";
import type { HostTensor } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import {
  adoptWeights,
  initializeWeights,
  loadWeights,
  matchWeights,
} from "../../../core/model/load-weights.ts";
import type { ModelPlugin } from "../../../core/model/plugin.ts";
import { ModuleScope } from "../../../core/nn/module-scope.ts";
import { normals } from "../../../core/rng.ts";

const plugin: Pick<ModelPlugin, "name" | "weights"> = {
  name: "toy",
  weights: {
    prefix: "toy.",
    rename: [[/\.gamma$/, ".weight"]],
    ignore: [/^lm_head\./],
    optional: [/^classifier\./],
  },
};

const stored = (shape: readonly number[], ...values: number[]): HostTensor => ({
  dtype: "F32",
  shape,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});

const complete = {
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
  const filled = loadWeights(backend, tree, entries, plugin, { where, seed });
  const valuesOf = (name: string) => {
    const parameter = tree.parameters.get(name);
    return parameter ? Array.from(backend.download(parameter.buffer)) : [];
  };
  return { filled: filled.map(({ name }) => name), valuesOf };
}

const without = (key: keyof typeof complete): Readonly<Record<string, HostTensor>> => {
  const { [key]: _, ...rest } = complete;
  return rest;
};

describe("loadWeights", () => {
  test("two keys of one parameter must hold the same values", () => {
    const twice = (...values: number[]) =>
      load({ ...complete, "toy.norm.gamma": stored([2], ...values) });
    expect(twice(4, 5).valuesOf("toy.norm.weight")).toEqual([4, 5]);
    expect(() => twice(4, 6)).toThrow(
      "model.safetensors: toy.norm.gamma differs from another key that is mapped to toy.norm.weight too",
    );
  });

  test("an optional constant missing from the checkpoint takes its fill and is never trained", () => {
    const backend = createReferenceBackend();
    const scope = ModuleScope.root();
    const constant = scope.constant("offset", [2], "ones");
    const open = { name: "toy", weights: { ...plugin.weights, optional: [/^offset$/] } };
    const matched = matchWeights(scope.tree, new Map(), open, "x");
    expect([matched.newlyInitialized, [...matched.constants.keys()]]).toEqual([[], [constant]]);
    adoptWeights(backend, matched);
    expect(Array.from(backend.download(constant.buffer))).toEqual([1, 1]);
    expect(() =>
      loadWeights(backend, scope.tree, new Map(), plugin, { where: "x", seed: 1 }),
    ).toThrow("x: 1 weights are missing: offset");
  });

  test("loads every parameter; those that the checkpoint may lack are filled and reported", () => {
    const { filled, valuesOf } = load(complete);
    expect(filled).toEqual(["classifier.weight", "classifier.bias"]);
    expect(valuesOf("toy.dense.weight")).toEqual([1, 2]);
    expect(valuesOf("toy.norm.bias")).toEqual([6, 7]);
    expect(valuesOf("toy.conv")).toEqual([8, 9]); // stored [1, 1, 2], seen as [1, 2]
    expect(valuesOf("classifier.bias")).toEqual([0, 0]);
    expect(valuesOf("classifier.weight").every((x) => x !== 0 && Math.abs(x) < 3)).toBe(true);
  });

  test("the fill is a function of seed and name", () => {
    const weight = load(complete).valuesOf("classifier.weight");
    expect(load(complete).valuesOf("classifier.weight")).toEqual(weight);
    expect(load(complete, 2).valuesOf("classifier.weight")).not.toEqual(weight);
  });

  test("keys of a bare backbone lack the prefix", () => {
    const bare = Object.entries(complete).map(([key, t]) => [key.replace("toy.", ""), t] as const);
    const { valuesOf, filled } = load(Object.fromEntries(bare));
    expect(valuesOf("toy.dense.weight")).toEqual([1, 2]);
    expect(filled).toEqual(["classifier.weight", "classifier.bias"]);
  });

  test("old names are rewritten, and keys known to be unneeded are dropped", () => {
    const old = { ...without("toy.norm.weight"), "toy.norm.gamma": stored([2], 40, 50) };
    const { valuesOf } = load({ ...old, "lm_head.weight": stored([2], 0, 0) });
    expect(valuesOf("toy.norm.weight")).toEqual([40, 50]);
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
    const extra = { ...complete, "toy.dense.weight2": stored([1], 0) };
    expect(() => load(extra)).toThrow(
      'model.safetensors: 1 key is neither mapped nor ignored by plugin "toy": toy.dense.weight2',
    );
  });

  test("a wrong shape is reported with the expected one, even if the element count matches", () => {
    expect(() => load({ ...complete, "toy.dense.weight": stored([2, 1], 1, 2) })).toThrow(
      "model.safetensors: toy.dense.weight must be [1, 2] for this config.json: got [2, 1]",
    );
    expect(() => load({ ...complete, "toy.conv": stored([1, 2], 1, 2) })).toThrow(
      "toy.conv must be [1, 1, 2] for this config.json: got [1, 2]",
    );
  });
});

test("parameters supplied from elsewhere are neither missing nor read from the checkpoint", () => {
  const { tree } = toyScope();
  const supplied = new Set(["toy.norm.bias", "toy.conv", "classifier.weight"]);
  const tensors = new Map(Object.entries(without("toy.norm.bias")));
  const { found, newlyInitialized } = matchWeights(
    tree,
    tensors,
    plugin,
    "model.safetensors",
    supplied,
  );
  expect([...found.keys()].map(({ name }) => name)).toEqual([
    "toy.dense.weight",
    "toy.dense.bias",
    "toy.norm.weight",
  ]);
  expect(newlyInitialized.map(({ name }) => name)).toEqual(["classifier.bias"]);
});

test("initializeWeights fills every parameter as declared", () => {
  const backend = createReferenceBackend();
  const scope = ModuleScope.root();
  scope.linear("dense", 3, 2, 0.5);
  scope.layerNorm("norm", 2, 1e-5);
  initializeWeights(backend, scope.tree, 9);
  const entries = [...scope.tree.parameters.values()].map(
    ({ name, buffer }) => [name, Array.from(backend.download(buffer))] as const,
  );
  const of = new Map(entries);
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

  test("a name declared twice is an internal error that names it", () => {
    const scope = ModuleScope.root();
    scope.linear("dense", 3, 2, 0.1);
    expect(() => scope.linear("dense", 3, 2, 0.1)).toThrow(
      "internal: parameter dense.weight is declared twice",
    );
  });

  test("a parameter without values, or with the wrong number of them, is an internal error", () => {
    const scope = ModuleScope.root();
    const { weight } = scope.linear("dense", 3, 2, 0.1);
    expect(() => weight.buffer).toThrow("internal: parameter dense.weight has no values yet");
    expect(() => (weight.buffer = createReferenceBackend().alloc("f64", 5))).toThrow(
      "internal: dense.weight: 5 values for [2, 3]",
    );
  });
});
