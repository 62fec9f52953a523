import { expect, test } from "bun:test";
import { join } from "node:path";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { Method } from "../../../core/config/method.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { readPeftAdapter } from "../../../core/io/peft.ts";
import type { PeftAdapter } from "../../../core/io/peft-adapter.ts";
import { adaLoraAdapter, applyAdapter, loraAdapter } from "../../../core/model/adapter-files.ts";
import { adaptModel, type DeclaredModel } from "../../../core/model/open-model.ts";
import {
  checkLayers,
  type PrunedTriplets,
  startFrom,
  startingLayers,
} from "../../../core/model/starting-layers.ts";
import { type Decompose, decomposeOnCpu } from "../../../core/jacobi-svd.ts";
import { runStart, type StartContext } from "../../../core/adalora/start.ts";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import { loadModel } from "../../golden/golden-case.ts";
import { declareFused, fusedAdapter, loadFused } from "../../helpers/fused-adapter.ts";
import { failure } from "../io/scratch.ts";

const root = join(import.meta.dir, "../../fixtures/peft-options");
const backend = createReferenceBackend();
const head = { task: "classification", labels: 3 } as const;
const load = () => loadModel(backend, join(root, "bases/seqcls"), { head });
const read = (name: string) => readPeftAdapter(join(root, name));
const tokens = packSequences([
  [5, 9, 3, 12],
  [7, 2, 8],
]);

function logitsOf({ model }: Pick<DeclaredModel, "model">): number[] {
  const pass = new ForwardPass(backend, { training: false });
  let logits: number[] = [];
  pass.scope(() => {
    logits = Array.from(backend.download(model.forward(pass, tokens).buffer));
  });
  return logits;
}

/** The base with an adapter, as `eval` loads it. */
function applied(adapter: PeftAdapter): number[] {
  const subject = load();
  applyAdapter(backend, subject, adapter, "adapter");
  return logitsOf(subject);
}

/** The base with the adapters of a run that starts from an adapter, before its first step. */
async function started(
  adapter: PeftAdapter,
  method: Method,
  {
    pruned = "kept",
    initRank = 5,
    decompose,
  }: { pruned?: PrunedTriplets; initRank?: number; decompose?: Decompose } = {},
) {
  const subject = load();
  const layers = startingLayers(adapter, { method, pruned, initRank, alpha: 16 });
  const options = { method, modules: null, rank: 0, alpha: 0, dropout: 0, layers };
  const adapted = adaptModel(subject, { ...options, trained: new Set(adapter.saved.keys()) });
  for (const [name, tensor] of adapter.saved) {
    adapted.tree.parameters.get(name)!.buffer = backend.adopt(tensor, "f64");
  }
  const { adapters, tree } = adapted;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the start reads no data
  const context = { backend, adapters, tree, seed: 3, decompose } as StartContext;
  await runStart(startFrom(layers), context);
  return { adapted, layers };
}

const distance = (got: readonly number[], want: readonly number[]) =>
  Math.max(...want.map((value, i) => Math.abs(value - got[i]!)));

const settings = {
  taskType: "SEQ_CLS",
  baseModel: "base",
  alpha: 12,
  initRank: 3,
  targetRank: 1,
  initWarmup: 0,
  finalWarmup: 1,
  maskInterval: 1,
  totalSteps: 9,
  beta1: 0.85,
  beta2: 0.85,
  regOrthCoef: 0.1,
} as const;

for (const name of ["rank-regex", "bias-all", "modules-to-save"]) {
  for (const method of ["lora", "prune-lora"] as const) {
    test(`${name} as ${method}: the first step's logits are the adapter's, and it is saved as it was`, async () => {
      const adapter = read(name);
      const { adapted, layers } = await started(adapter, method);
      expect(distance(logitsOf(adapted), applied(adapter))).toBeLessThan(1e-12);
      const kept = adapted.adapters.map(({ rank }) => Array.from({ length: rank }, () => true));
      const { taskType, baseModel } = settings;
      const saved = loraAdapter(backend, { ...adapted, layers }, kept, {
        taskType,
        baseModel,
        alpha: 0,
      });
      expect(distance(applied(saved), applied(adapter))).toBeLessThan(1e-12);
    });
  }

  test(`${name} as an AdaLoRA: triplets by the SVD of each increment, the others with E = 0`, async () => {
    const adapter = read(name);
    const counts: number[] = [];
    const decompose: Decompose = (matrices) => {
      counts.push(matrices.length);
      return decomposeOnCpu(matrices);
    };
    const { adapted } = await started(adapter, "adalora", { decompose });
    expect(counts).toEqual([adapter.modules.length]);
    expect(distance(logitsOf(adapted), applied(adapter))).toBeLessThan(1e-6);
    for (const { path, a, e, b, rank } of adapted.adapters) {
      const fileRank = adapter.modules.find((module) => module.path === path)!.A.shape[0]!;
      const values = Array.from(backend.download(e!.buffer));
      expect(values.slice(fileRank)).toEqual(Array.from({ length: rank - fileRank }, () => 0));
      expect(values).toEqual(values.toSorted((x, y) => y - x));
      expect(values[fileRank - 1]).toBeGreaterThan(0);
      const [rows, columns] = [backend.download(a.buffer), backend.download(b.buffer)];
      const dots = (at: (t: number, i: number) => number, width: number) =>
        Array.from({ length: fileRank ** 2 }, (_, k) => {
          const [s, t] = [Math.floor(k / fileRank), k % fileRank];
          return Array.from({ length: width }, (__, i) => at(s, i) * at(t, i)).reduce(
            (sum, x) => sum + x,
            0,
          );
        });
      const identity = Array.from({ length: fileRank ** 2 }, (_, k) =>
        k % (fileRank + 1) === 0 ? 1 : 0,
      );
      const [inputs, outputs] = [a.shape[1]!, b.shape[0]!];
      expect(
        distance(
          dots((t, i) => rows[t * inputs + i]!, inputs),
          identity,
        ),
      ).toBeLessThan(1e-6);
      expect(
        distance(
          dots((t, i) => columns[i * rank + t]!, outputs),
          identity,
        ),
      ).toBeLessThan(1e-6);
      expect(rows[fileRank * inputs]).not.toBe(0); // the others start as in the paper
    }
  });
}

for (const pruned of ["kept", "revived"] as const) {
  test(`an AdaLoRA with its pruned triplets ${pruned}: the logits, and the masks when it is saved`, async () => {
    const adapter = read("adalora-masked");
    if (adapter.method !== "adalora") throw new Error("not AdaLoRA");
    const { adapted, layers } = await started(adapter, "adalora", { pruned });
    expect(distance(logitsOf(adapted), applied(adapter))).toBeLessThan(1e-12);
    const empty = adapter.modules.filter(({ A }) => A.shape[0] === 0).map(({ path }) => path);
    expect(empty.length).toBeGreaterThan(0);
    expect(adapted.emptied?.map(({ path }) => path) ?? []).toEqual(pruned === "kept" ? empty : []);
    expect(new Set(adapted.adapters.map(({ rank }) => rank))).toEqual(
      new Set(pruned === "kept" ? [1, 2, 3] : [3]),
    );
    const kept = adapted.adapters.map(({ e }) =>
      Array.from(backend.download(e!.buffer), (value) => value !== 0),
    );
    const saved = adaLoraAdapter(backend, { ...adapted, layers }, kept, settings);
    const masks = ({ modules }: typeof saved) =>
      Object.fromEntries(modules.map(({ path, mask }) => [path, mask]));
    expect(masks(saved)).toEqual(masks(adapter));
    expect(distance(applied(saved), applied(adapter))).toBeLessThan(1e-12);
  });
}

test("an adapter of another model is refused by layer or shape", () => {
  const { modules } = read("rank-regex");
  const layers = modules.map((source) => ({ path: source.path, source }));
  const linears = load().tree.linears;
  expect(failure(() => checkLayers(layers, new Map(), "adapter")).message).toBe(
    `adapter: adapts "${layers[0]!.path}", which the model does not have`,
  );
  const wider = new Map(
    Array.from(linears, ([path, { inFeatures, outFeatures }]) => [
      path,
      { inFeatures: inFeatures + 1, outFeatures },
    ]),
  );
  expect(failure(() => checkLayers(layers, wider, "adapter")).message).toContain(
    `${layers[0]!.path}.lora_A must be [1, 13] for this config.json: got [1, 12]`,
  );
});

test.each(["adalora", "lora"] as const)(
  "an %s of a fused layer is trained on as PEFT does, one adapter for the whole layer",
  async (method) => {
    const { adapted: original, adapter } = fusedAdapter(backend, method);
    const declared = declareFused();
    const layers = startingLayers(adapter, { method, pruned: "kept", initRank: 0, alpha: 0 });
    checkLayers(layers, declared.tree.linears, "adapter");
    const options = { method, modules: null, rank: 0, alpha: 0, dropout: 0, layers };
    const adapted = adaptModel(declared, { ...options, trained: new Set<string>() });
    loadFused(backend, adapted);
    const { adapters, tree } = adapted;
    expect(adapters.map(({ path }) => path)).toContain("model.layers.0.attn.Wqkv");
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the start reads no data
    const context = { backend, adapters, tree, seed: 3 } as StartContext;
    await runStart(startFrom(layers), context);
    expect(distance(logitsOf(adapted), logitsOf(original))).toBeLessThan(1e-10);
  },
);
