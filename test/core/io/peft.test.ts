import { expect, test } from "bun:test";
import { copyFileSync, cpSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isFiniteTensor } from "../../../core/io/finite.ts";
import { toFloat32 } from "../../../core/io/float-conversion.ts";
import { readPeftAdapter, writePeftAdapter } from "../../../core/io/peft.ts";
import type { AdaLoraAdapter, LoraAdapter } from "../../../core/io/peft-adapter.ts";
import { insideModules, parsePattern } from "../../../core/io/peft-patterns.ts";
import { openSafetensors, writeSafetensors } from "../../../core/io/safetensors.ts";
import { float32Tensor, type StoredTensor } from "../../../core/io/stored-tensor.ts";
import { failure, fixture, scratchFolder } from "./scratch.ts";
import { cpuTime } from "../../helpers/cpu-time.ts";

const root = scratchFolder();
let folderCount = 0;
const fresh = () => join(root, `adapter-${++folderCount}`);

const readJson = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, "utf8"));

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

/** A copy of a fixture whose config is changed. */
function withConfig(name: string, change: Record<string, unknown>): string {
  const dir = fresh();
  cpSync(fixture(name), dir, { recursive: true });
  const path = join(dir, "adapter_config.json");
  writeFileSync(path, JSON.stringify({ ...readJson(path), ...change }));
  return dir;
}

/** A copy of a fixture whose tensors are changed. */
function withTensors(name: string, change: (tensors: Map<string, StoredTensor>) => void): string {
  const dir = fresh();
  cpSync(fixture(name), dir, { recursive: true });
  const path = join(dir, "adapter_model.safetensors");
  const { tensors } = openSafetensors(path);
  change(tensors);
  writeSafetensors(path, tensors);
  return dir;
}

const QUERY = "deberta.encoder.layer.0.attention.self.query_proj";
const OUTPUT = "deberta.encoder.layer.0.output.dense";
const key = (path: string, part: string) => `base_model.model.${path}.lora_${part}`;

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

const BAD_CONFIGS: readonly [
  fixtureName: string,
  change: Record<string, unknown>,
  message: string,
][] = [
  ["peft-lora", { peft_type: "IA3" }, `"peft_type" must be "ADALORA" or "LORA", got "IA3"`],
  ["peft-lora", { use_dora: true }, `"use_dora" must be unset, got true`],
  ["peft-lora", { bias: "some" }, `"bias" must be one of none, lora_only, all, got "some"`],
  [
    "peft-lora",
    { init_lora_weights: "pissa" },
    `"init_lora_weights" must be an initialisation that keeps the base weights, got "pissa"`,
  ],
  ["peft-lora", { r: 0 }, `"r" must be a whole number above 0, got 0`],
  ["peft-lora", { r: 3 }, `must have rank 3 according to adapter_config.json, got 4`],
  [
    "peft-lora",
    { alpha_pattern: { "(a+$": 1 } },
    `"alpha_pattern" must be a regular expression whose parentheses are balanced`,
  ],
  [
    "peft-lora",
    { alpha_pattern: { "(?<=a)b": 1 } },
    `"alpha_pattern" must be a regular expression without lookbehinds`,
  ],
  [
    "peft-lora",
    { target_modules: "[" },
    `"target_modules" must be a regular expression whose brackets are balanced, got "["`,
  ],
  ["peft-lora", { target_modules: 3 }, `"target_modules" must be a list of names, got 3`],
  [
    "peft-lora",
    { target_modules: ["value_proj"] },
    `has tensors, but the configuration adapts no such layer: PEFT would ignore them`,
  ],
  [
    "peft-lora",
    { exclude_modules: ".*query_proj" },
    `query_proj": has tensors, but the configuration adapts no such layer`,
  ],
  [
    "peft-lora",
    { layers_to_transform: [0] },
    `layer.1.attention.output.dense": has tensors, but the configuration adapts no such layer`,
  ],
  [
    "peft-lora",
    { layers_to_transform: ["0"] },
    `"layers_to_transform" must be a whole number or a list of them, got ["0"]`,
  ],
  [
    "peft-lora",
    { rank_pattern: { dense: "4" } },
    `"rank_pattern.dense" must be a number above 0, got "4"`,
  ],
  [
    "peft-lora",
    { modules_to_save: ["classifier"] },
    `pooler.dense.bias": is neither a tensor of lora nor of a module in "modules_to_save"`,
  ],
  ["peft-lora", { modules_to_save: "all" }, `"modules_to_save" must be a list of names, got "all"`],
  ["peft-lora", { task_type: 3 }, `"task_type" must be a string or null, got 3`],
  ["peft-adalora", { total_step: null }, `"total_step" must be a whole number above 0, got null`],
  ["peft-adalora", { init_r: 5 }, `the mask must have init_r = 5 values, got 4`],
  ["peft-adalora", { rank_pattern: 3 }, `"rank_pattern" must be an object of masks, got 3`],
  [
    "peft-adalora",
    { rank_pattern: { "a.lora_E": [1, 0] } },
    `"rank_pattern.a.lora_E" must be masks of true and false`,
  ],
  [
    "peft-adalora",
    { rank_pattern: { "a.b": [true] } },
    `"rank_pattern.a.b" must be masks of true and false by "<layer>.lora_E"`,
  ],
  [
    "peft-adalora",
    { rank_pattern: { "a.lora_E": [true] } },
    `"rank_pattern" describes "a", which has no tensors`,
  ],
];

for (const [name, change, message] of BAD_CONFIGS) {
  test(`${name} with ${JSON.stringify(change)} is refused`, () => {
    expect(failure(() => readPeftAdapter(withConfig(name, change))).message).toContain(message);
  });
}

const REMEDIES: readonly [change: Record<string, unknown>, hint: string][] = [
  [{ peft_type: "VERA" }, "convert it with PEFT's save_as_lora, or merge it in PEFT"],
  [{ peft_type: "IA3" }, "merge it in PEFT (merge_and_unload, then save_pretrained)"],
  [{ peft_type: "PREFIX_TUNING" }, "it trains no weights that a LoRA could hold"],
  [{ use_dora: true }, "merge it in PEFT"],
  [{ use_qalora: true }, "its layers are quantised: merge it in PEFT"],
  [{ loftq_config: { loftq_bits: 4 } }, "LoftQ quantises the model: merge it in PEFT"],
  [{ init_lora_weights: "pissa_niter_4" }, "path_initial_model_for_weight_conversion"],
];

for (const [change, hint] of REMEDIES) {
  test(`the refusal of ${JSON.stringify(change)} says what to convert it with`, () => {
    const error = failure(() => readPeftAdapter(withConfig("peft-lora", change)));
    expect(error.code).toBe("E_CONFIG");
    expect(error.hint).toContain(hint);
  });
}

test("a mask that keeps a different number of triplets than the tensors is refused", () => {
  const first = "deberta.encoder.layer.0.attention.output.dense";
  const masks = { [`${first}.lora_E`]: [true, true, false, false] };
  const dir = withConfig("peft-adalora", { rank_pattern: masks });
  expect(failure(() => readPeftAdapter(dir)).message).toEndWith(
    `"${first}.lora_E": the mask keeps 2 triplets, but the tensors have rank 1`,
  );
});

const ten = float32Tensor([10], new Float32Array(10));
const BAD_TENSORS: readonly [
  what: string,
  (t: Map<string, StoredTensor>) => void,
  message: string,
][] = [
  ["no B", (t) => t.delete(key(QUERY, "B")), `"${key(QUERY, "B")}" is missing`],
  ["no E", (t) => t.delete(key(QUERY, "E")), `"${key(QUERY, "E")}" is missing`],
  [
    "a flat A",
    (t) => t.set(key(QUERY, "A"), ten),
    `"${QUERY}.lora_A": must be floating-point [10, any], got F32 [10]`,
  ],
  [
    "a flat B",
    (t) => t.set(key(QUERY, "B"), ten),
    `"${QUERY}.lora_B": must be floating-point [any, 1], got F32 [10]`,
  ],
  [
    "a flat E",
    (t) => t.set(key(QUERY, "E"), ten),
    `"${QUERY}.lora_E": must be floating-point [1, 1], got F32 [10]`,
  ],
  [
    "an embedding",
    (t) => t.set("base_model.model.x.lora_embedding_A", ten),
    `lora_embedding_A": is neither`,
  ],
  [
    "no prefix",
    (t) => t.set("classifier.weight", ten),
    `"classifier.weight": must start with "base_model.model."`,
  ],
  [
    "no layer",
    (t) => [...t.keys()].filter((k) => k.includes("lora_")).forEach((k) => t.delete(k)),
    `which has no tensors`,
  ],
];

for (const [what, change, message] of BAD_TENSORS) {
  test(`an adapter with ${what} is refused`, () => {
    expect(failure(() => readPeftAdapter(withTensors("peft-adalora", change))).message).toContain(
      message,
    );
  });
}

const notFinite = (values: readonly number[]) =>
  float32Tensor(
    [2, 12],
    Float32Array.from({ length: 24 }, (_, i) => values[i % values.length]!),
  );

test("an embedding's tensors, or NaN, are refused with file and key", () => {
  const embedded = failure(() =>
    readPeftAdapter(
      withTensors("peft-lora", (t) => t.set("base_model.model.x.lora_embedding_A", ten)),
    ),
  );
  expect(embedded.hint).toStartWith("an adapted embedding: merge it in PEFT");
  for (const bad of [NaN, Infinity, -Infinity]) {
    const dir = withTensors("peft-lora", (t) => {
      const name = "base_model.model.classifier.weight";
      t.set(name, notFinite([0.5, bad]));
    });
    expect(failure(() => readPeftAdapter(dir)).message).toBe(
      `${join(dir, "adapter_model.safetensors")}: "base_model.model.classifier.weight": holds a value that is not a finite number`,
    );
  }
});

test("values that are not finite are found in every dtype, at every place", () => {
  const large = new Float32Array(100_003).fill(-3.4e38);
  expect(isFiniteTensor(float32Tensor([100_003], large))).toBe(true);
  large[100_002] = NaN;
  expect(isFiniteTensor(float32Tensor([100_003], large))).toBe(false);
  const of = (dtype: "F64" | "F16" | "BF16" | "I64", bytes: readonly number[]) =>
    isFiniteTensor({ dtype, shape: [1], bytes: Uint8Array.from([0, ...bytes]).subarray(1) });
  expect(of("F64", [0, 0, 0xf0, 0x7f, 0, 0, 0, 0])).toBe(true);
  expect(of("F64", [1, 0, 0, 0, 0, 0, 0xf0, 0x7f])).toBe(false);
  for (const [dtype, bits] of [
    ["F16", [0, 0xfc]],
    ["BF16", [0x80, 0x7f]],
  ] as const) {
    expect(of(dtype, [0, 0, 0, 0, ...bits])).toBe(false);
    expect(of(dtype, [0, 0, ...bits])).toBe(false);
    expect(of(dtype, [0, 0, bits[0], bits[1] - 1])).toBe(true);
  }
  expect(of("I64", [0, 0, 0, 0, 0, 0, 0xf0, 0x7f])).toBe(true);
});

test("init_r alone allocates nothing", () => {
  const started = cpuTime();
  const dir = withConfig("peft-adalora", { init_r: 200_000_000, rank_pattern: null });
  expect(failure(() => readPeftAdapter(dir)).message).toContain(
    "the mask keeps 200000000 triplets",
  );
  expect(cpuTime() - started).toBeLessThan(1000);
});

test("the work of patterns and saved modules is linear in their number", () => {
  const names = Array.from({ length: 50_000 }, (_, i) => `layer.${i}.query`);
  const started = cpuTime();
  const lookUp = parsePattern({ p: Object.fromEntries(names.map((n, i) => [n, i + 1])) }, "p", "c");
  expect(names.every((name, i) => lookUp(`base.${name}`) === i + 1)).toBe(true);
  const isSaved = insideModules(names);
  expect(names.every((name) => isSaved(`base.${name}.weight`) && !isSaved(name))).toBe(true);
  expect(cpuTime() - started).toBeLessThan(2000);
});

test("a pattern's plain dot stands for any character, an escaped one for itself", () => {
  const keys = {
    "value.proj": 1,
    [String.raw`layer\.1\.key_proj`]: 2,
    "^a.b": 3,
    "b|c.": 4,
    ".": 5,
  };
  const lookUp = parsePattern({ p: keys }, "p", "config");
  const paths = ["x.value_proj", "x.value.proj", "layer.1.key_proj", "layer_1_key_proj", "a.b"];
  expect(paths.map(lookUp)).toEqual([1, 1, 2, undefined, 3]);
  expect(["x.a_b", "x.b", "x.cd", "x.d", "x.de"].map(lookUp)).toEqual([
    undefined,
    4,
    4,
    5,
    undefined,
  ]);
});

test("hostile patterns are refused in bounded time, with file and key", () => {
  const started = cpuTime();
  const paths = Array.from({ length: 2000 }, (_, i) => `${"a.".repeat(200)}${i}`);
  const dots = (i: number) =>
    Array.from(i.toString(2).padStart(16, "0"), (bit) => (bit === "1" ? "." : "a"));
  for (const keys of [
    { [`${"(.*)".repeat(20)}x`]: 1 },
    Object.fromEntries(
      Array.from({ length: 60_000 }, (_, i) => [dots(i).join("").padEnd(300, "."), 1]),
    ),
    Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`(a|b){1,9}${i}`, 1])),
  ]) {
    const lookUp = parsePattern({ p: keys }, "p", "config");
    expect(failure(() => paths.forEach(lookUp)).message).toStartWith(
      `config: "p" must be a regular expression that takes less work to match, got `,
    );
  }
  expect(cpuTime() - started).toBeLessThan(3000);
  const proto = JSON.parse('{"p": {"__proto__": 1}}');
  expect(failure(() => parsePattern(proto, "p", "config")).message).toBe(
    `config: "p" must be keyed by module names, got "__proto__"`,
  );
});

test("an endless tensor name is refused", () => {
  const dir = withTensors("peft-adalora", (tensors) =>
    tensors.set("base_model.model.".padEnd(600, "a."), ten),
  );
  expect(failure(() => readPeftAdapter(dir)).message).toContain(
    "a tensor's name has 600 characters",
  );
});

test("missing files are reported", () => {
  const dir = fresh();
  expect(failure(() => readPeftAdapter(dir)).message).toBe(`${dir}: does not exist`);
  cpSync(fixture("peft-lora"), dir, { recursive: true });
  rmSync(join(dir, "adapter_model.safetensors"));
  expect(failure(() => readPeftAdapter(dir)).message).toBe(
    `${dir}: holds no adapter weights: looked for adapter_model.safetensors, adapter_model.bin`,
  );
  rmSync(join(dir, "adapter_config.json"));
  expect(failure(() => readPeftAdapter(dir)).message).toBe(
    `${join(dir, "adapter_config.json")}: does not exist`,
  );
});

test("an adapter is found after its writer was killed in the middle of replacing it", () => {
  const dir = fresh();
  writePeftAdapter(dir, adaLora());
  renameSync(dir, join(root, `.adapter-${folderCount}.replaced`));
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
