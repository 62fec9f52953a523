import { describe, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runStart, type StartContext } from "../../../core/adalora/start.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { readPeftAdapter, writePeftAdapter } from "../../../core/io/peft.ts";
import type { AdaLoraAdapter, PeftAdapter } from "../../../core/io/peft-adapter.ts";
import { float32Tensor } from "../../../core/io/stored-tensor.ts";
import { adaLoraAdapter, applyAdapter, loraAdapter } from "../../../core/model/adapter-files.ts";
import { splitByParts } from "../../../core/model/fused-adapters.ts";
import { adaptModel, type DeclaredModel } from "../../../core/model/open-model.ts";
import { startFrom, startingLayers } from "../../../core/model/starting-layers.ts";
import { splitFused } from "../../../core/model/split-fused.ts";
import { attachAdapters } from "../../../core/model/select-linears.ts";
import type { Adapter } from "../../../core/nn/adapter.ts";
import { ModuleScope } from "../../../core/nn/module-scope.ts";
import { deberta } from "../../../plugins/deberta/index.ts";
import { tensor } from "../../helpers/tensors.ts";
import { masters } from "../../helpers/upload.ts";
import { wave } from "../../helpers/wave.ts";

const backend = createReferenceBackend();
const RANK = 3;
const ALPHA = 16;

/** A layer "qkv", fused of parts with 4, 2 and 5 outputs, and a plain one, "out". */
function build(isFused = true) {
  const scope = ModuleScope.root();
  const parts = isFused ? { query: 4, key: 2, value: 5 } : {};
  const qkv = scope.linear("qkv", 6, 11, 0.02, { bias: false, parts });
  const out = scope.linear("out", 11, 3, 0.02);
  for (const [i, parameter] of [...scope.tree.parameters.values()].entries())
    parameter.buffer = masters(backend, wave(parameter.length, i));
  const model = {
    forward: (pass: ForwardPass) =>
      out.forward(pass, qkv.forward(pass, tensor(backend, [5, 6], 9))),
  };
  return { plugin: deberta, model, tree: scope.tree, qkv };
}

type Built = ReturnType<typeof build>;

/** Adapters of rank 3 with values that float32 holds, on all of a model or on some of it. */
function adapt({ tree }: Built, svd: boolean, hosts = [...tree.adaptable.values()]) {
  const scale = svd ? ALPHA / (RANK + 1e-5) : ALPHA / RANK;
  const adapters = attachAdapters(hosts, { rank: RANK, scale, svd });
  adapters.forEach(({ a, e, b }, i) => {
    for (const [j, factor] of [a, e, b].entries())
      if (factor)
        factor.buffer = masters(backend, wave(factor.length, 10 * i + j).map(Math.fround));
  });
  return adapters;
}

function outputs({ model }: Pick<Built, "model">): number[] {
  let values: number[] = [];
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    values = Array.from(backend.download(model.forward(pass).buffer));
  });
  return values;
}

const settings = { taskType: null, baseModel: null, alpha: ALPHA };
const schedule = { targetRank: 2, initWarmup: 2, finalWarmup: 4, maskInterval: 2, totalSteps: 12 };
const adaLoraSettings = {
  ...settings,
  ...schedule,
  initRank: RANK,
  beta1: 0.85,
  beta2: 0.85,
  regOrthCoef: 0.1,
};

/** The adapter as a folder holds it: written and read again. */
function stored(adapter: PeftAdapter): PeftAdapter {
  const dir = join(mkdtempSync(join(tmpdir(), "fused-")), "adapter");
  writePeftAdapter(dir, adapter);
  return readPeftAdapter(dir);
}

function saved(adapters: readonly Adapter[], svd: boolean, kept: readonly (readonly boolean[])[]) {
  const parts = { adapters, trained: [] };
  return stored(
    svd
      ? adaLoraAdapter(backend, parts, kept, adaLoraSettings)
      : loraAdapter(backend, parts, kept, settings),
  );
}

/** Prunes triplets as a mask does: E = 0, or without E the row of A and the column of B. */
function prune(adapters: readonly Adapter[], kept: readonly (readonly boolean[])[]): void {
  for (const [i, { a, e, b }] of adapters.entries()) {
    const isKept = (t: number) => kept[i]?.[t] ?? true;
    const masked = (factor: typeof a, tripletOf: (at: number) => number) => {
      const values = Float64Array.from(backend.download(factor.buffer));
      backend.upload(
        factor.buffer,
        values.map((x, at) => (isKept(tripletOf(at)) ? x : 0)),
      );
    };
    if (e) masked(e, (at) => at);
    else {
      masked(a, (at) => Math.floor(at / (a.shape[1] ?? 1)));
      masked(b, (at) => at % RANK);
    }
  }
}

const ranksOf = ({ initRank, alpha }: AdaLoraAdapter) => ({ initRank, alpha });

const everything = [true, true, true];
/** query, key, value, out */
const somePruned = [[true, false, true], [false, false, false], everything, [false, true, false]];

describe.each([
  ["AdaLoRA", true],
  ["LoRA", false],
] as const)("%s on the parts of a fused layer", (_, svd) => {
  test.each([
    ["full ranks", [everything, everything, everything, everything]],
    ["some triplets pruned, one part at rank 0", somePruned],
  ])("is saved as one adapter per layer and read back part by part: %s", (_name, kept) => {
    const trained = build();
    const adapters = adapt(trained, svd);
    prune(adapters, kept);
    const adapter = saved(adapters, svd, kept);
    expect(adapter.modules.map(({ path }) => path)).toEqual(["out", "qkv"]);
    const rank = kept.slice(0, 3).flat().filter(Boolean).length;
    expect(adapter.modules[1]?.A.shape).toEqual([rank, 6]);
    expect(adapter.modules[1]?.B.shape).toEqual([11, rank]);

    const read = build();
    const attached = applyAdapter(backend, read, adapter, "the adapter");
    expect(attached.map(({ path }) => path).toSorted()).toEqual(
      adapters
        .map(({ path }) => path)
        .filter((_path, i) => kept[i]?.includes(true))
        .toSorted(),
    );
    const [got, want] = [outputs(read), outputs(trained)];
    got.forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 12));
  });

  test.each([
    ["full ranks", [everything, everything, everything, everything]],
    ["some triplets pruned, one part at rank 0", somePruned],
  ])("is trained on part by part, and saved as it was: %s", async (_name, kept) => {
    const trained = build();
    const adapters = adapt(trained, svd);
    prune(adapters, kept);
    const adapter = saved(adapters, svd, kept);
    const { adapter: split, whole } = splitFused(adapter, trained.tree.linears);
    const ranks = kept.map((mask) => mask.filter(Boolean).length);
    expect([whole, split.modules.map(({ path, A }) => [path, A.shape[0]])]).toEqual([
      [],
      [
        ["out", ranks[3]],
        ...["qkv.query", "qkv.key", "qkv.value"].map((path, i) => [path, ranks[i]]),
      ].filter(([, rank]) => rank !== 0),
    ]);

    const read = build();
    const method = svd ? "adalora" : "lora";
    const fresh = { method, modules: null, rank: 0, alpha: 0, dropout: 0 } as const;
    const layers = startingLayers(split, { method, pruned: "kept", initRank: 1, alpha: 1 });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the task's model is not called
    const declared = { ...read, model: read.model as unknown as DeclaredModel["model"] };
    const adapted = adaptModel(declared, { ...fresh, layers });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the start reads no data
    const context = { ...adapted, backend, seed: 3 } as unknown as StartContext;
    await runStart(startFrom(layers), context);
    const [got, want] = [outputs(read), outputs(trained)];
    got.forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 12));

    const all = adapted.adapters.map(({ rank }) => Array.from({ length: rank }, () => true));
    const parts = { adapters: adapted.adapters, trained: [], layers };
    const again =
      adapter.method === "adalora"
        ? adaLoraAdapter(backend, parts, all, { ...adaLoraSettings, ...ranksOf(adapter) })
        : loraAdapter(backend, parts, all, settings);
    expect(stored(again)).toEqual({ ...adapter, ...(svd && { targetRank: expect.any(Number) }) });
  });

  test("as one adapter of the whole layer it computes the same", () => {
    const trained = build();
    const adapters = adapt(trained, svd);
    const adapter = saved(
      adapters,
      svd,
      adapters.map(() => everything),
    );
    const read = build(false);
    const attached = applyAdapter(backend, read, adapter, "the adapter");
    expect(attached.map(({ path }) => path)).toEqual(["out", "qkv"]);
    const [got, want] = [outputs(read), outputs(trained)];
    got.forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 12));
  });

  test("on one part alone it has the layer's path, too", () => {
    const trained = build();
    const adapters = adapt(trained, svd, [trained.qkv.parts[1]!]);
    const adapter = saved(adapters, svd, [everything]);
    expect(adapter.modules.map(({ path, B }) => [path, B.shape])).toEqual([["qkv", [11, RANK]]]);
    if (adapter.method === "adalora")
      expect([adapter.alpha, adapter.initRank, adapter.targetRank]).toEqual([ALPHA, RANK, 2]);
    const read = build();
    applyAdapter(backend, read, adapter, "the adapter");
    expect(read.qkv.parts.map((part) => part.adapter !== undefined)).toEqual([false, true, false]);
    const [got, want] = [outputs(read), outputs(trained)];
    got.forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 12));
  });
});

test("PEFT's one initial rank is that of the layer with most parts; alpha keeps the scale", () => {
  const trained = build();
  const adapters = adapt(trained, true);
  prune(adapters, somePruned);
  const adapter = saved(adapters, true, somePruned);
  if (adapter.method !== "adalora") throw new Error("not AdaLoRA");
  expect(adapter.initRank).toBe(3 * RANK);
  expect(adapter.alpha / (3 * RANK + 1e-5)).toBeCloseTo(ALPHA / (RANK + 1e-5), 13);
  expect(adapter.targetRank).toBe(4); // 2 in each of 4 matrices: 8 in 2 layers
  const [out, qkv] = adapter.modules.map(({ mask }) => mask);
  expect(qkv).toEqual(somePruned.slice(0, 3).flat());
  expect(out).toEqual([...somePruned[3]!, ...Array.from({ length: 6 }, () => false)]);
});

describe("an adapter that PEFT trained on a fused layer", () => {
  const module = (B: number[]) => {
    const values = Float32Array.from(B);
    const matrix = (rows: number, cols: number) =>
      float32Tensor([rows, cols], Float32Array.from(wave(rows * cols, rows)));
    return { path: "qkv", A: matrix(2, 6), B: float32Tensor([11, 2], values), alpha: 4 };
  };
  const column = (rows: readonly number[], t: number) =>
    Array.from({ length: 22 }, (_, at) => (at % 2 === t && rows.includes(at >> 1) ? 1 + at : 0));

  test("whose B is not block-diagonal adapts the whole layer", () => {
    const both = module(column([3, 4], 0).map((x, at) => x + column([6], 1)[at]!));
    const read = build();
    expect(splitByParts(both, read.qkv)).toBeUndefined();
    const rest = { ...settings, saved: new Map(), dropout: 0 };
    const adapter: PeftAdapter = { method: "lora", ...rest, modules: [both] };
    expect(splitFused(adapter, read.tree.linears)).toEqual({ adapter, whole: ["qkv"] });
    const [attached] = applyAdapter(backend, read, adapter, "the adapter");
    expect(attached?.path).toBe("qkv");
    expect(read.qkv.adapter).toBe(attached);
  });

  test("is split where each column of B stays in a part, whatever their order", () => {
    const swapped = module(column([9, 10], 0).map((x, at) => x + column([0], 1)[at]!));
    const split = splitByParts(swapped, build().qkv);
    expect(split?.map(([{ path }, { A, B }]) => [path, A.shape, B.shape])).toEqual([
      ["qkv.query", [1, 6], [4, 1]],
      ["qkv.value", [1, 6], [5, 1]],
    ]);
  });
});

test("parts must make up the layer", () => {
  expect(() => ModuleScope.root().linear("qkv", 4, 9, 1, { parts: { query: 4, key: 4 } })).toThrow(
    "qkv: parts of 8 outputs do not make up 9",
  );
});
