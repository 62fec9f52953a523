import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkPlugin } from "../../../cli/plugin-check/check-plugin.ts";
import { demoTokenizerJson, vocabulary } from "../../../demo/tokenizer.ts";
import { type Config, pluginChecks, right, withAdapters, withWeights } from "./plugin-checks.ts";
import { smallConfig, writeSmall } from "./small-plugin.ts";

const { folder, complaints } = pluginChecks(import.meta.path);

test("a right plugin has no complaint", async () => expect(await complaints(right)).toBe(""));

describe("declaration", () => {
  test("a prefix without its dot", async () =>
    expect(await complaints(withWeights({ prefix: "small" }))).toMatchInlineSnapshot(`
      "fail declaration: weights.prefix must end with a dot, got "small"
        change: write "small.": keys of a bare backbone lack all of it"
    `));

  test("a name twice", async () =>
    expect(await complaints({ ...right, modelTypes: ["small", "small"] })).toMatchInlineSnapshot(`
      "fail declaration: modelTypes names "small" more than once
        change: remove the repeated names"
    `));
});

describe("config", () => {
  test("a model type that is not the plugin's", async () =>
    expect(await complaints({ ...right, modelTypes: ["smaller"] })).toMatchInlineSnapshot(`
      "fail config: config.json's model_type is "small", modelTypes has smaller
        change: add "small" to modelTypes if the family reads such checkpoints"
    `));

  test("limits that are no limits", async () =>
    expect(
      await complaints({
        ...right,
        limits: (c: Config) => ({ ...right.limits(c), maxLength: 20.5 }),
      }),
    ).toMatchInlineSnapshot(`
      "fail config: plugin "small", limits: must return vocabSize and maxLength, whole numbers above 0 (maxLength may be Infinity), got {"vocabSize":78,"maxLength":20.5}
        change: vocabSize: the rows of the word embeddings; maxLength: the longest sequence in tokens"
    `));

  test("a hook that throws, with its line", async () => {
    const throwing = () => {
      throw new TypeError("no size of that name");
    };
    expect(await complaints({ ...right, parseConfig: throwing })).toMatchInlineSnapshot(`
      "fail config: plugin "small", parseConfig, broken-declaration.test.ts:LINE: TypeError: no size of that name
        change: -"
    `);
  });
});

describe("weights", () => {
  test("a key that maps to nothing", async () =>
    expect(await complaints(withWeights({ ignore: [] }))).toMatchInlineSnapshot(`
      "fail weights: 1 key maps to no parameter, and no rule ignores it: pretraining.extra
        change: weights.ignore if the model does not compute with them; weights.rename if a parameter has another name (such as small.words.weight); otherwise declare them in build"
    `));

  test("a parameter without a key", async () =>
    expect(await complaints(withWeights({ optional: [/^classifier\.bias$/] })))
      .toMatchInlineSnapshot(`
      "fail weights: 1 parameter has no key, and no rule makes it optional: classifier.weight
        change: weights.rename if the checkpoint has them under other keys; weights.optional if a pretrained checkpoint lacks them, as it does a head"
    `));

  test("two keys for one parameter", async () =>
    expect(
      await complaints(
        withWeights({ rename: [[/^pretraining\.extra$/, "small.norm.bias"]], ignore: [] }),
      ),
    ).toMatchInlineSnapshot(`
      "fail weights: 1 key fills a parameter that an earlier key fills: small.norm.bias
        change: weights.copies if both hold the same values; weights.ignore for the one not needed"
    `));

  test("a shape of another size", async () => {
    const parseConfig = (raw: object) => {
      const config = right.parseConfig({ ...raw });
      return { ...config, maxPositions: 41 };
    };
    expect(await complaints({ ...right, parseConfig })).toMatchInlineSnapshot(`
      "fail weights: 1 shape disagrees: small.places.weight is [40, 24], declared [41, 24]
        change: declare the shape that the checkpoint has: see which value of config.json sets it"
    `);
  });

  test("transposed shapes", async () =>
    expect(
      await complaints(
        withWeights({
          rename: [
            [/\.up\.weight$/, ".swapped"],
            [/\.down\.weight$/, ".up.weight"],
            [/\.swapped$/, ".down.weight"],
          ],
        }),
      ),
    ).toMatchInlineSnapshot(`
      "fail weights: 6 shapes disagree: small.layer.0.down.weight (for small.layer.0.up.weight) is [24, 32], declared [32, 24], transposed, small.layer.0.up.weight (for small.layer.0.down.weight) is [32, 24], declared [24, 32], transposed, small.layer.1.down.weight (for small.layer.1.up.weight) is [24, 32], declared [32, 24], transposed and 3 more
        change: weights are [out, in]: this checkpoint has [in, out], which the kit can't turn around: convert it, or declare the other order"
    `));

  test("rules that match nothing are a warning", async () =>
    expect(
      await complaints(
        withWeights({
          rename: [[/gamma$/, "weight"]],
          optional: [/^classifier\./, /^pooler\./],
        }),
      ),
    ).toMatchInlineSnapshot(`
      "warn weights: 2 rules match nothing here: weights.rename /gamma$/, weights.optional /^pooler\\./
        change: remove those that no checkpoint of the family needs"
    `));
});

describe("adapters", () => {
  const { modules } = right.adapters;

  test("a pattern that matches no layer", async () =>
    expect(await complaints(withAdapters({ modules: { ...modules, gate: /\.gate$/ } })))
      .toMatchInlineSnapshot(`
      "fail adapters: adapters.modules: 1 pattern matches no linear layer of the model for classification: gate (/\\.gate$/)
        change: linear layers have paths such as small.layer.0.query, small.layer.0.key, small.layer.0.value"
    `));

  test("a pattern that matches a weight's name instead", async () =>
    expect(await complaints(withAdapters({ modules: { ...modules, up: /\.up\.weight$/ } })))
      .toMatchInlineSnapshot(`
      "fail adapters: adapters.modules: 1 pattern matches no linear layer of the model for classification: up (/\\.up\\.weight$/)
        change: a pattern is matched with a layer's path, such as small.layer.0.query, not with its weight's name"
    `));

  test("a layer with two short names", async () =>
    expect(await complaints(withAdapters({ modules: { ...modules, query: /\.(query|key)$/ } })))
      .toMatchInlineSnapshot(`
      "fail adapters: small.layer.0.key matches both query and key (and 2 other layers)
        change: narrow a pattern in adapters.modules, so that each layer has one short name"
    `));

  test("two layers of one name", async () => {
    const { up: _, down: __, ...rest } = modules;
    expect(await complaints(withAdapters({ modules: { ...rest, dense: /\.(up|down)$/ } })))
      .toMatchInlineSnapshot(`
      "fail adapters: small.layer.0.up and small.layer.0.down are both called dense
        change: give them short names of their own, or tell them apart in adapters.prefixes"
    `);
  });

  test("an adapted head", async () =>
    expect(await complaints(withAdapters({ modules: { ...modules, head: /^classifier$/ } })))
      .toMatchInlineSnapshot(`
      "fail adapters: both adapted and trained in full: classifier
        change: narrow the pattern in adapters.modules: a head has no adapter beside it"
    `));

  test("a trained pattern that matches nothing", async () =>
    expect(await complaints(withAdapters({ trainable: [/^classifier\./, /^pooler\./] })))
      .toMatchInlineSnapshot(`
      "fail adapters: adapters.trainable /^pooler\\./ matches no parameter
        change: parameters have names such as small.norm.bias, classifier.weight, classifier.bias"
    `));

  test("a saved head that is not there, and one that is not saved", async () =>
    expect(await complaints(withAdapters({ saved: ["pooler"] }))).toMatchInlineSnapshot(`
      "fail adapters: adapters.saved names pooler, which no pattern of adapters.trainable matches
        change: remove it, or train it; trained in full: classifier
      fail adapters: adapters.saved lacks classifier, which adapters.trainable trains
        change: add it: PEFT's modules_to_save lists the heads that an adapter file holds"
    `));

  test("a parameter that would stay random", async () =>
    expect(await complaints(withWeights({ optional: [/^classifier\./, /places/] })))
      .toMatchInlineSnapshot(`
      "fail adapters: optional in weights, but not in adapters.trainable: small.places.weight
        change: a checkpoint that lacks them would leave them random and untrained: train them, require them, or declare them with scope.constant"
    `));

  test("a prefix that matches nothing is a warning", async () =>
    expect(await complaints(withAdapters({ prefixes: { "cross.": /cross/ } })))
      .toMatchInlineSnapshot(`
      "warn adapters: adapters.prefixes "cross." matches no linear layer
        change: remove it"
    `));
});

describe("tokenizer", () => {
  test("a special token that the folder's file lacks", async () => {
    const { tokenizer } = right;
    const special = { ...tokenizer.special, cls: "<s>" };
    expect(await complaints({ ...right, tokenizer: { ...tokenizer, special } }))
      .toMatchInlineSnapshot(`
      "fail tokenizer: MODEL/tokenizer.json: the tokenizer has no special token "<s>"
        change: expected a deberta tokenizer; name its folder with --tokenizer"
    `);
  });

  test("a vocabulary larger than the model's", async () => {
    const limits = () => ({ vocabSize: 64, maxLength: 40 });
    expect(await complaints({ ...right, limits })).toMatchInlineSnapshot(`
      "fail tokenizer: MODEL/tokenizer.json: the tokenizer's 78 tokens do not fit the model: "vocab_size" in MODEL/config.json is 64
        change: the tokenizer belongs to another model: name the model's own with --tokenizer"
    `);
  });
});

describe("the folder's tokenizer", () => {
  const changed = async (name: string, content: object) => {
    const dir = join(folder, name.replace(".json", ""));
    writeSmall(dir);
    writeFileSync(join(dir, name), JSON.stringify(content));
    return complaints(right, dir);
  };

  test("knows no word of a sentence", async () => {
    const vocab = Object.fromEntries(vocabulary.slice(0, 5).map((name, id) => [name, id]));
    const model = { type: "WordLevel", vocab, unk_token: "[UNK]" };
    expect(await changed("tokenizer.json", { ...demoTokenizerJson(), model }))
      .toMatchInlineSnapshot(`
      "fail tokenizer: every token of a plain sentence is unknown ([UNK])
        change: tokenizer.convert must build the checkpoint's own normalizer and vocabulary"
    `);
  });

  test("gives segments that the model does not have", async () =>
    expect(await changed("config.json", { ...smallConfig, type_vocab_size: 1 }))
      .toMatchInlineSnapshot(`
      "fail tokenizer: a pair's second text has segment 1
        change: the post-processor must give segments below type_vocab_size, 1"
    `));
});

describe("shrinking", () => {
  const refusing = (most: number) => (raw: object) => {
    const config = right.parseConfig({ ...raw });
    if (config.width < most) throw new Error(`the width must be at least ${most}`);
    return config;
  };
  const shrinkingOf = async (most: number) => {
    const plugin = { ...right, parseConfig: refusing(most) };
    const found = await checkPlugin(plugin, folder, {});
    expect(found.filter(({ level }) => level === "fail")).toEqual([]);
    return found.find(({ check }) => check === "shrinking")?.message;
  };

  test("a family that refuses a config is given the next", async () =>
    expect(await shrinkingOf(20)).toMatchInlineSnapshot(
      `"the checks below run on 2 layers, 64 tokens, the widths of config.json; refused: 2 layers, 64 tokens, 2 heads, width 16 (the width must be at least 20)"`,
    ));
});
