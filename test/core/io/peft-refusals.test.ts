import { expect, test } from "bun:test";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readPeftAdapter } from "../../../core/io/peft.ts";
import { float32Tensor, type StoredTensor } from "../../../core/io/stored-tensor.ts";
import { cpuTime } from "../../helpers/cpu-time.ts";
import { adapterFolders, QUERY } from "./adapter-folders.ts";
import { failure, fixture } from "./scratch.ts";

const { fresh, withConfig, withTensors } = adapterFolders();
const key = (path: string, part: string) => `base_model.model.${path}.lora_${part}`;

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

test("init_r alone allocates nothing", () => {
  const started = cpuTime();
  const dir = withConfig("peft-adalora", { init_r: 200_000_000, rank_pattern: null });
  expect(failure(() => readPeftAdapter(dir)).message).toContain(
    "the mask keeps 200000000 triplets",
  );
  expect(cpuTime() - started).toBeLessThan(1000);
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
