import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { HostTensor } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { nameInLayer, selectLinears } from "../../core/model/select-linears.ts";
import { openCheckpoint } from "../../core/io/checkpoint-files.ts";
import { loadWeights } from "../../core/model/load-weights.ts";
import type { ModelPlugin } from "../../core/model/plugin.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { builtInFamilies, plugins } from "../../plugins/index.ts";

const pluginFor = (modelType: string) => builtInFamilies.familyOf(modelType).plugin;

const cases = join(import.meta.dir, "../golden/cases");

interface Checkpoint {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>> & { readonly model_type: string };
  readonly tensors: ReadonlyMap<string, HostTensor>;
}

/** The golden cases that hold a model. */
const checkpoints: readonly Checkpoint[] = readdirSync(cases, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.endsWith("-table"))
  .map(({ name }) => {
    const base = join(cases, name, "base"); // where the case holds an adapter too
    const dir = existsSync(base) ? base : join(cases, name);
    const config = JSON.parse(readFileSync(join(dir, "config.json"), "utf8"));
    return { name, config, tensors: openCheckpoint(dir).tensors };
  });

const checkpoint = (name: string) => {
  const found = checkpoints.find((c) => c.name === name);
  if (!found) throw new Error(`no golden case ${name}`);
  return found;
};

function declare({ config, tensors }: Checkpoint) {
  const plugin = pluginFor(config.model_type);
  const labels = labelsOf(plugin, tensors);
  const [task] = plugin.tasks;
  if (!task) throw new Error(`${plugin.name} has no task`);
  return declareModel(plugin, plugin.parseConfig(config), { task, labels });
}

/** The number of labels of a checkpoint's head, 2 if it has none. */
function labelsOf({ adapters }: ModelPlugin, tensors: Checkpoint["tensors"]): number {
  const heads = [...tensors].filter(
    ([key, { shape }]) => shape.length === 2 && adapters.trainable.some((r) => r.test(key)),
  );
  return heads.length > 0 ? Math.min(...heads.map(([, { shape }]) => shape[0] ?? 0)) : 2;
}

function load(from: Checkpoint, tensors = from.tensors): readonly string[] {
  const { plugin, tree } = declare(from);
  const where = "model.safetensors";
  const fresh = loadWeights(createReferenceBackend(), tree, tensors, plugin, { where, seed: 1 });
  return fresh.map(({ name }) => name);
}

/** The same checkpoint with other keys; undefined drops one. */
function rekeyed({ tensors }: Checkpoint, change: (key: string) => string | undefined) {
  const entries = [...tensors].flatMap(([key, t]) => {
    const to = change(key);
    return to === undefined ? [] : [[to, t] as const];
  });
  return new Map(entries);
}

describe("all plugins", () => {
  const unique = (values: readonly string[]) => new Set(values).size === values.length;

  test("have names of their own, and share no model type", () => {
    expect(plugins.length).toBeGreaterThan(0);
    expect(unique(plugins.map(({ name }) => name))).toBe(true);
    expect(unique(plugins.flatMap(({ modelTypes }) => modelTypes))).toBe(true);
  });

  test("an unknown model_type is an error that lists the known", () => {
    expect(pluginFor("deberta-v2").name).toBe("deberta");
    expect(() => pluginFor("bertt")).toThrow('no plugin handles model_type "bertt"');
    try {
      pluginFor("");
      throw new Error("an error is due");
    } catch (error) {
      const known = plugins.flatMap(({ modelTypes }) => modelTypes).join(", ");
      expect(error).toMatchObject({ code: "E_MODEL_TYPE" });
      expect(error).toHaveProperty("hint", expect.stringContaining(`known: ${known}`));
    }
  });

  for (const plugin of plugins)
    describe(plugin.name, () => {
      const own = checkpoints.filter(({ config }) => plugin.modelTypes.includes(config.model_type));

      test("has a golden checkpoint", () => expect(own.length).toBeGreaterThan(0));

      for (const golden of own) {
        test(`${golden.name}: every key is mapped or ignored on purpose, every parameter found or fresh`, () => {
          const { tree } = declare(golden);
          const fresh = load(golden);
          const { prefix } = plugin.weights;
          const isMapped = (key: string) =>
            tree.parameters.has(key) || tree.parameters.has(prefix + key);
          const ignored = [...golden.tensors.keys()].filter((key) => !isMapped(key));
          for (const key of ignored)
            expect(plugin.weights.ignore.some((pattern) => pattern.test(key))).toBe(true);
          for (const name of fresh)
            expect(plugin.weights.optional.some((pattern) => pattern.test(name))).toBe(true);
          expect(golden.tensors.size - ignored.length + fresh.length).toBe(tree.parameters.size);
        });

        test(`${golden.name}: each short name selects modules, no two the same, none of the head`, () => {
          const paths = [...declare(golden).tree.adaptable.keys()];
          const selected = Object.values(plugin.adapters.modules).map((pattern) =>
            paths.filter((path) => pattern.test(path)),
          );
          for (const some of selected) expect(some.length).toBeGreaterThan(0);
          expect(unique(selected.flat())).toBe(true);
          const isHead = (path: string) =>
            plugin.adapters.trainable.some((pattern) => pattern.test(`${path}.weight`));
          expect(selected.flat().some(isHead)).toBe(false);
          expect(paths.some(isHead)).toBe(plugin.adapters.trainable.length > 0);
        });

        test(`${golden.name}: in a layer each adapted module has a name of its own, which ends in the short one`, () => {
          const { tree } = declare(golden);
          const modules = Object.entries(plugin.adapters.modules);
          const names = selectLinears(tree, plugin).map(({ path }) => {
            const [short] = modules.find(([, pattern]) => pattern.test(path)) ?? [];
            const name = nameInLayer(path, plugin);
            expect(name).toEndWith(short ?? "none");
            return path.replace(/(\.\d+\.).*/, `$1${name}`);
          });
          expect(unique(names)).toBe(true);
        });
      }

      test("the head's parts for PEFT's files are what is trained in full", () => {
        const [golden] = own;
        if (!golden) throw new Error("no golden checkpoint");
        const config = plugin.parseConfig(golden.config);
        const trained = plugin.tasks.flatMap((task) => {
          const { tree } = declareModel(plugin, config, {
            task,
            labels: task === "regression" ? 1 : 2,
          });
          const names = [...tree.parameters.keys()].filter((name) =>
            plugin.adapters.trainable.some((pattern) => pattern.test(name)),
          );
          expect(names.length > 0).toBe(task !== "generation"); // every other task has a head
          return names;
        });
        expect(new Set(trained.map((name) => name.split(".")[0]))).toEqual(
          new Set(plugin.adapters.saved),
        );
      });
    });
});

describe("a checkpoint of DeBERTa", () => {
  const golden = checkpoint("01-seqcls-2labels");
  const key = "deberta.encoder.layer.0.output.dense.weight";

  test("with everything in place leaves nothing fresh", () => expect(load(golden)).toEqual([]));

  test("as the hub has it: float16, heads of the pre-training, no classifier; the head is filled and reported", () => {
    const hub = checkpoint("01-hub-style-fp16-bin");
    const keys = [...hub.tensors.keys()].filter((name) => !name.startsWith("deberta."));
    expect(keys.every((name) => /^(lm_predictions|mask_predictions)\./.test(name))).toBe(true);
    expect(keys.length).toBeGreaterThan(8);
    expect(load(hub)).toEqual([
      "pooler.dense.weight",
      "pooler.dense.bias",
      "classifier.weight",
      "classifier.bias",
    ]);
  });

  test("of the bare backbone has its keys without the prefix", () => {
    const bare = rekeyed(golden, (k) =>
      k.startsWith("deberta.") ? k.slice("deberta.".length) : undefined,
    );
    expect(bare.has("encoder.layer.0.output.dense.weight")).toBe(true);
    expect(load(golden, bare)).toHaveLength(4);
  });

  test("with TensorFlow's names of LayerNorm", () => {
    const old = rekeyed(golden, (k) =>
      k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
    );
    expect([...old.keys()].filter((k) => /gamma|beta$/.test(k)).length).toBeGreaterThan(4);
    expect(load(golden, old)).toEqual([]);
  });

  test("that lacks a weight is refused by its name", () => {
    const lacking = rekeyed(golden, (k) => (k === key ? undefined : k));
    expect(() => load(golden, lacking)).toThrow(`model.safetensors: 1 weights are missing: ${key}`);
  });

  test("with a layer more than its config says is refused by the keys", () => {
    const more = new Map(
      [...golden.tensors].map(([k, t]) => [k.replace("layer.0.", "layer.7."), t]),
    );
    expect(() => load(golden, new Map([...golden.tensors, ...more]))).toThrow(
      /neither mapped nor ignored by plugin "deberta": deberta\.encoder\.layer\.7\./,
    );
  });

  test("of another width is refused with both shapes", () => {
    const [out, width] = golden.tensors.get(key)?.shape ?? [];
    const wider = { ...golden.config, intermediate_size: (width ?? 0) + 1 };
    expect(() => load({ ...golden, config: wider })).toThrow(
      /model\.safetensors: deberta\.encoder\.layer\.0\.\S+ must be \[\d+(, \d+)?\] for this config\.json: got \[/,
    );
    expect(out).toBeGreaterThan(0);
  });
});

describe("DeBERTa's config.json", () => {
  const { config } = checkpoint("01-seqcls-2labels");
  const plugin: ModelPlugin = pluginFor("deberta-v2");
  const parse = (changes: object) => () => plugin.parseConfig({ ...config, ...changes });
  const says = (key: string, want: string, got: string) =>
    `config.json: "${key}" must be ${want}, got ${got}`;

  test("of every golden case is read", () => {
    const own = checkpoints.filter(({ config: c }) => c.model_type === "deberta-v2");
    expect(own.length).toBeGreaterThan(0);
    for (const { config: c } of own) expect(plugin.parseConfig(c)).toBeObject();
  });

  for (const key of [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
  ])
    test(`needs ${key}`, () => {
      expect(parse({ [key]: undefined })).toThrow(says(key, "a whole number above 0", "undefined"));
      expect(parse({ [key]: 0 })).toThrow(says(key, "a whole number above 0", "0"));
      expect(parse({ [key]: "12" })).toThrow(says(key, "a whole number above 0", '"12"'));
    });

  const wrong: [key: string, value: unknown, want: string][] = [
    ["hidden_act", "mish", "one of gelu, gelu_new, relu, silu, tanh, gelu_pytorch_tanh, swish"],
    ["pos_att_type", "c2p|p2p", "a list of c2p, p2c"],
    ["pos_att_type", 3, "a list of c2p, p2c"],
    ["relative_attention", "yes", "true or false"],
    ["layer_norm_eps", "tiny", "a number above 0"],
    ["layer_norm_eps", -1, "a number above 0"],
    ["hidden_dropout_prob", 2, "a number from 0 to below 1"],
    ["attention_probs_dropout_prob", -0.1, "a number from 0 to below 1"],
    ["initializer_range", -1, "a number from 0"],
    ["num_hidden_layers", 1e9, "at most 1000"],
    ["vocab_size", 1e15, "at most 16777216"],
    ["max_relative_positions", 1e9, "at most 16777216"],
    ["type_vocab_size", -1, "a whole number from 0"],
    ["conv_kernel_size", 1001, "at most 99"],
    ["pos_att_type", Array.from({ length: 9 }, () => "c2p"), "a list of c2p, p2c"],
    ["position_buckets", 1.5, "a whole number from -1"],
    ["conv_groups", 2, "1: grouped convolutions are not implemented"],
    ["conv_kernel_size", 4, "odd"],
    ["hidden_size", 25, "a multiple of 2, the attention heads"],
  ];
  for (const [key, value, want] of wrong)
    test(`${key} ${JSON.stringify(value)} is refused`, () =>
      expect(parse({ num_attention_heads: 2, hidden_size: 24, [key]: value })).toThrow(
        says(key, want, JSON.stringify(value)),
      ));

  test("BART's numbers are read in their ranges too", () => {
    const bart: ModelPlugin = pluginFor("bart");
    const own = checkpoints.find(({ config: c }) => c.model_type === "bart")?.config;
    const parseBart = (changes: object) => () => bart.parseConfig({ ...own, ...changes });
    expect(parseBart({})()).toBeObject();
    expect(parseBart({ dropout: 1 })).toThrow(says("dropout", "a number from 0 to below 1", "1"));
    expect(parseBart({ encoder_layers: 1e9 })).toThrow(
      says("encoder_layers", "at most 1000", "1000000000"),
    );
    expect(parseBart({ init_std: -1 })).toThrow(says("init_std", "a number from 0", "-1"));
  });

  test("null means the default, as transformers writes it", () => {
    const defaults = { position_buckets: -1, hidden_act: "gelu", layer_norm_eps: 1e-7 };
    for (const [key, value] of Object.entries(defaults))
      expect(parse({ [key]: null })()).toEqual(parse({ [key]: value })());
  });

  test("position types are read as a list and as the older text", () => {
    expect(parse({ pos_att_type: "p2c|c2p" })()).toEqual(parse({ pos_att_type: ["p2c", "c2p"] })());
    expect(parse({ pos_att_type: "c2p" })()).not.toEqual(parse({ pos_att_type: "p2c" })());
  });

  test("a model with absolute positions has a longest sentence, v3 has none", () => {
    const limits = (changes: object) => plugin.limits(parse(changes)());
    const vocabSize = Number(config["vocab_size"]);
    expect(limits({ position_biased_input: true, max_position_embeddings: 64 })).toEqual({
      vocabSize,
      maxLength: 64,
    });
    expect(limits({ position_biased_input: false })).toEqual({ vocabSize, maxLength: Infinity });
  });
});
