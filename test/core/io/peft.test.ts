import { expect, test } from "bun:test";
import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { toFloat32 } from "../../../core/io/float-conversion.ts";
import { readPeftAdapter, writePeftAdapter } from "../../../core/io/peft.ts";
import type { AdaLoraAdapter, LoraAdapter } from "../../../core/io/peft-adapter.ts";
import { float32Tensor } from "../../../core/io/stored-tensor.ts";
import { adapterFolders, QUERY, readJson } from "./adapter-folders.ts";
import { failure, fixture } from "./scratch.ts";

const { fresh, withConfig, withTensors } = adapterFolders();
const OUTPUT = "deberta.encoder.layer.0.output.dense";
const ten = float32Tensor([10], new Float32Array(10));

function adaLora(dir = fixture("peft-adalora")): AdaLoraAdapter {
  const adapter = readPeftAdapter(dir);
  if (adapter.method !== "adalora") throw new Error("not AdaLoRA");
  return adapter;
}

function lora(dir: string): LoraAdapter {
  const adapter = readPeftAdapter(dir);
  if (adapter.method !== "lora") throw new Error("not LoRA");
  return adapter;
}

test("an AdaLoRA adapter of PEFT: schedule, masks, layers of rank 0, trained head", () => {
  const { modules, saved, ...facts } = adaLora();
  expect(facts).toEqual({
    method: "adalora",
    taskType: "SEQ_CLS",
    baseModel: "base",
    revision: null,
    dropout: 0,
    alpha: 16,
    initRank: 4,
    targetRank: 1,
    initWarmup: 5,
    finalWarmup: 8,
    maskInterval: 2,
    totalSteps: 30,
    beta1: 0.85,
    beta2: 0.85,
    regOrthCoef: 0.5,
  });
  expect(modules.map(({ A }) => A.shape[0])).toEqual([1, 2, 1, 2, 1, 0, 2, 1, 1, 1, 0, 0]);
  const query = modules.find(({ path }) => path === QUERY)!;
  expect(query.mask).toEqual([false, true, false, false]);
  expect([query.A.shape, query.E.shape, query.B.shape]).toEqual([
    [1, 36],
    [1, 1],
    [36, 1],
  ]);
  const pruned = modules.find(({ path }) => path === OUTPUT)!;
  expect([pruned.A.shape, pruned.E.shape, pruned.B.shape]).toEqual([
    [0, 56],
    [0, 1],
    [36, 0],
  ]);
  expect([...saved.keys()].toSorted()).toEqual([
    "classifier.bias",
    "classifier.weight",
    "pooler.dense.bias",
    "pooler.dense.weight",
  ]);
});

for (const name of ["peft-adalora", "peft-adalora-bart", "peft-lora"]) {
  test(`${name}: written again, the weights are PEFT's bytes and the config reads the same`, () => {
    const dir = fresh();
    const adapter = readPeftAdapter(fixture(name));
    writePeftAdapter(dir, adapter);
    const bytes = (folder: string) => readFileSync(join(folder, "adapter_model.safetensors"));
    expect(bytes(dir).equals(bytes(fixture(name)))).toBe(true);
    const theirs = readJson(fixture(`${name}/adapter_config.json`));
    const ours = readJson(join(dir, "adapter_config.json"));
    // These two differ in form only; every other field is PEFT's.
    const { target_modules: targets, modules_to_save: heads, ...same } = ours;
    expect(theirs).toMatchObject(same);
    expect(targets).toEqual(adapter.modules.map(({ path }) => path));
    expect(heads).toEqual(name === "peft-adalora-bart" ? null : ["classifier", "pooler"]);
    expect(Object.keys(ours)).toEqual(Object.keys(ours).toSorted());
    expect(readPeftAdapter(dir)).toEqual(adapter);
  });
}

test("ranks and alphas that differ by layer survive, and a LoRA layer of rank 0 is left out", () => {
  const original = lora(fixture("peft-lora-converted"));
  expect(original.modules.map(({ alpha }) => Math.round(alpha))).toEqual([
    4, 8, 4, 8, 4, 8, 4, 4, 4,
  ]);
  const empty = float32Tensor([0, 36], new Float32Array(0));
  const none = { path: "deberta.none", A: empty, B: { ...empty, shape: [36, 0] }, alpha: 1 };
  const dir = fresh();
  writePeftAdapter(dir, { ...original, modules: [none, ...original.modules] });
  expect(readPeftAdapter(dir)).toEqual(original);
});

test("plain LoRA with one rank and alpha writes no patterns", () => {
  const dir = fresh();
  writePeftAdapter(dir, lora(fixture("peft-lora")));
  const {
    r,
    lora_alpha: alpha,
    rank_pattern: ranks,
    alpha_pattern: alphas,
  } = readJson(join(dir, "adapter_config.json"));
  expect({ r, alpha, ranks, alphas }).toEqual({ r: 4, alpha: 16, ranks: {}, alphas: {} });
});

test("rank-stabilised LoRA has the scale alpha / sqrt(rank)", () => {
  const dir = withConfig("peft-lora", { use_rslora: true });
  const { modules } = lora(dir);
  expect(modules[0]?.alpha).toBe(16 * Math.sqrt(4));
});

test("patterns match a layer by its last parts, the first match counting, as in PEFT", () => {
  const pattern = {
    "attention.output.dense": 1,
    "^deberta.encoder.layer.1.intermediate.dense": 2,
    dense: 3,
  };
  const dir = withConfig("peft-lora", { alpha_pattern: pattern });
  const { modules } = lora(dir);
  const alphas = modules.filter(({ path }) => path.endsWith("dense")).map(({ alpha }) => alpha);
  expect(alphas).toEqual([1, 3, 3, 1, 2, 3]);
  expect(modules.find(({ path }) => path === QUERY)?.alpha).toBe(16);
});

test("an AdaLoRA adapter without rank_pattern has the initial rank everywhere", () => {
  const dir = withTensors("peft-adalora-bart", (tensors) => {
    for (const [name, tensor] of tensors) {
      const [part, other] = [name.at(-1), tensor.shape[name.endsWith("B") ? 0 : 1] ?? 0];
      const shape = part === "B" ? [other, 3] : [3, other];
      tensors.set(name, float32Tensor(shape, new Float32Array(3 * other)));
    }
  });
  const path = join(dir, "adapter_config.json");
  writeFileSync(path, JSON.stringify({ ...readJson(path), rank_pattern: null }));
  const { modules } = adaLora(dir);
  expect(new Set(modules.map(({ mask }) => mask.join()))).toEqual(new Set(["true,true,true"]));
});

test("an adapter in PEFT's old adapter_model.bin is read", () => {
  const dir = withConfig("peft-lora", { r: 2, modules_to_save: null });
  rmSync(join(dir, "adapter_model.safetensors"));
  copyFileSync(fixture("old-adapter.bin"), join(dir, "adapter_model.bin"));
  const { modules } = lora(dir);
  expect(modules.map(({ path }) => path)).toEqual(["query_proj"]);
  expect([...toFloat32(modules[0]!.A)]).toEqual([0, 1, 2, 3, 4, 5]);
});

test("an adapter is found after its writer was killed in the middle of replacing it", () => {
  const dir = fresh();
  writePeftAdapter(dir, adaLora());
  renameSync(dir, join(dirname(dir), `.${basename(dir)}.replaced`));
  expect(readPeftAdapter(dir)).toEqual(adaLora());
});

test("a writer refuses what PEFT would refuse to load", () => {
  const adapter = adaLora();
  const write = (change: Partial<AdaLoraAdapter>) =>
    failure(() => writePeftAdapter(fresh(), { ...adapter, ...change })).message;
  expect(write({ initWarmup: 22 })).toContain(
    "initWarmup < totalSteps - finalWarmup, got 22, 30, 8",
  );
  expect(write({ modules: [] })).toContain("there is no adapted layer to write");
  expect(write({ modules: [...adapter.modules, adapter.modules[0]!] })).toContain("twice");
  expect(
    write({
      saved: new Map([
        ["deberta.final.weight", ten],
        ["bias", ten],
      ]),
    }),
  ).toContain(`"bias": must belong to a module without adapted layers`);
});

test("a tensor beside adapted layers is saved under its own module's name", () => {
  const dir = fresh();
  const name = "deberta.encoder.norm.weight";
  writePeftAdapter(dir, { ...adaLora(), saved: new Map([[name, ten]]) });
  expect(readJson(join(dir, "adapter_config.json"))["modules_to_save"]).toEqual([
    "deberta.encoder.norm",
  ]);
  expect([...readPeftAdapter(dir).saved.keys()]).toEqual([name]);
});
