import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guardedPlugin } from "../../../core/model/guard-plugin.ts";
import { checkPlugin } from "../../../cli/plugin-check/check-plugin.ts";
import { type ModelPlugin, ops, type Tensor } from "../../../core/kit/kit.ts";
import { demoTokenizerJson, vocabulary } from "../../../demo/tokenizer.ts";
import { smallConfig, smallPlugin, type Steps, writeSmall } from "./small-plugin.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plugin-check-"));
  writeSmall(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The failures and warnings of a plugin, one line each. */
async function complaints(plugin: ModelPlugin, dir = folder): Promise<string> {
  const files = [import.meta.path, join(import.meta.dir, "small-plugin.ts")];
  const origin = { file: import.meta.path, files, digest: "" };
  const found = await checkPlugin(guardedPlugin(plugin, origin), dir, { origin });
  const lines = found
    .filter(({ level }) => level === "fail" || level === "warn")
    .map(({ check, level, message, hint, where }) => {
      const place = where === undefined ? "" : `\n  at ${where}`;
      return `${level} ${check}: ${message}${place}\n  change: ${hint ?? "-"}`;
    });
  const text = lines.join("\n").replaceAll(dir, "MODEL");
  return text.replaceAll(/[\w/.-]*\/([\w-]+(\.test)?\.ts):\d+(:\d+)?/g, "$1:LINE");
}

const right = smallPlugin();
type Config = Parameters<typeof right.limits>[0];

/** The small plugin with other rules for weights, or for adapters. */
const withWeights = (weights: Partial<ModelPlugin["weights"]>) => ({
  ...right,
  weights: { ...right.weights, ...weights },
});
const withAdapters = (adapters: Partial<ModelPlugin["adapters"]>) => ({
  ...right,
  adapters: { ...right.adapters, ...adapters },
});
const withSteps = (steps: Partial<Steps>) => smallPlugin(steps);

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
      "fail config: plugin "small", parseConfig, broken-plugins.test.ts:LINE: TypeError: no size of that name
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

describe("forward", () => {
  test("a throw names the line", async () => {
    const steps = {
      embedded: (): Tensor => {
        throw new TypeError("x is undefined");
      },
    };
    expect(await complaints(withSteps(steps))).toMatchInlineSnapshot(`
      "fail forward: plugin "small", forward, broken-plugins.test.ts:LINE: TypeError: x is undefined
        change: -"
    `);
  });

  test("logits of another shape", async () =>
    expect(await complaints(withSteps({ outputs: () => 2 }))).toMatchInlineSnapshot(`
      "fail forward: plugin "small", forward: must return logits [4, 3], got [4, 2]
        change: return one row per sequence, of head.labels columns"
    `));

  test("limits beyond the tables", async () => {
    const longer = (c: Config) => ({ ...right.limits(c), maxLength: c.maxPositions + 1 });
    expect(await complaints({ ...right, limits: longer })).toMatchInlineSnapshot(`
      "fail forward: a sequence of 41 tokens, limits().maxLength, gives NaN
        change: return the rows of the position table, less those that it reserves below position 0"
    `);
    const larger = (c: Config) => ({ ...right.limits(c), vocabSize: c.vocabSize + 1 });
    expect(await complaints({ ...right, limits: larger })).toMatchInlineSnapshot(`
      "fail forward: token 64, the last below limits().vocabSize, gives NaN
        change: return the number of rows of the word embeddings"
    `);
  });

  test("a buffer that nothing sets", async () => {
    const embedded: Steps["embedded"] = (pass, x) => ({
      ...x,
      buffer: pass.allocate(x.buffer.length),
    });
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail forward: the logits hold NaN or Infinity
        change: a kernel reads what nothing has set: check sizes, and which buffers each op reads"
    `);
  });
});

describe("memory", () => {
  test("a buffer that stays live", async () => {
    const embedded: Steps["embedded"] = (pass, x) => {
      pass.backend.alloc("i32", 100);
      return x;
    };
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail memory: evaluation: 1 buffer (400 bytes) still live after the pass
        at broken-plugins.test.ts:LINE
        change: allocate with pass.allocate, pass.allocateMaster or pass.integers, whose buffers end with their scope"
    `);
  });

  test("a layer's buffer that pass.checkpoint does not get", async () =>
    expect(await complaints(withSteps({ reads: ({ positions }) => [positions] })))
      .toMatchInlineSnapshot(`
      "fail memory: training with checkpointing: attention reads a buffer that has been freed, allocated at small-plugin.ts:LINE
        at small-plugin.ts:LINE
        change: name it in the list that pass.checkpoint gets: every buffer from outside that the layer reads"
    `));

  test("a buffer of an inner scope", async () => {
    const embedded: Steps["embedded"] = (pass, x) => {
      let inner = x;
      pass.scope(() => {
        inner = ops.activation(pass, { x }, { kind: "tanh" });
      });
      return ops.activation(pass, { x: inner }, { kind: "tanh" });
    };
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail memory: evaluation: activate reads a buffer that has been freed, allocated at broken-plugins.test.ts:LINE
        at small-plugin.ts:LINE
        change: a buffer lives until the scope that allocated it ends: return it from there, or allocate it outside"
    `);
  });

  test("a download within a pass", async () => {
    const embedded: Steps["embedded"] = (pass, x) => {
      pass.backend.download(x.buffer);
      return x;
    };
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail memory: evaluation: forward or backward downloads values
        change: compute on the device: values are downloaded once a step, for the report"
    `);
  });
});

describe("gradients", () => {
  test("a kernel that is called past the ops", async () => {
    const embedded: Steps["embedded"] = (pass, x) => {
      pass.backend.scale(x.buffer, 1.5, x.buffer);
      return x;
    };
    expect(await complaints(withSteps({ embedded }))).toMatchInlineSnapshot(`
      "fail gradients: the gradient of small.words.weight (and 1 more) is wrong: backward gives -0.003694, the loss changes by -0.005542
        change: compute with nn and ops alone: what calls pass.backend directly is not recorded, and an op must not overwrite what another one reads"
    `);
  });

  test("a parameter that forward does not read", async () =>
    expect(
      await complaints({
        ...withSteps({ declare: (scope) => void scope.parameter("extra", [24], "ones") }),
        weights: { ...right.weights, ignore: [], rename: [[/^pretraining\./, "small."]] },
      }),
    ).toMatchInlineSnapshot(`
      "fail gradients: the loss does not depend on small.extra
        change: use them in forward, or do not declare them; scope.unused names tensors that a checkpoint holds and the model does not read"
    `));
});

describe("checkpointing", () => {
  test("a layer that computes something else when it is rerun", async () => {
    const layer: Steps["layer"] = (pass, reads, body) => {
      let runs = 0;
      return pass.checkpoint(reads, () => {
        const out = body();
        return ops.activation(pass, { x: out }, { kind: runs++ === 0 ? "gelu" : "gelu_new" });
      });
    };
    expect(await complaints(withSteps({ layer }))).toMatchInlineSnapshot(`
      "fail checkpointing: the gradient of small.words.weight has other bits
        change: a layer that is rerun must compute the same again: no state of its own, no random numbers but pass.nextDropout, no op that overwrites its input"
    `);
  });

  test("a layer that adapts to the memory that is free", async () => {
    const layer: Steps["layer"] = (pass, reads, body) => {
      let inner: Tensor | undefined;
      const out = pass.checkpoint(reads, () => {
        inner = body();
        return ops.activation(pass, { x: inner }, { kind: "gelu" });
      });
      const isFree = inner && pass.tape.inPlaceOf(inner.buffer) !== inner.buffer;
      const kind = pass.training && isFree ? "gelu_new" : "gelu";
      return ops.activation(pass, { x: out }, { kind });
    };
    const found = await complaints(withSteps({ layer }));
    expect(found.replaceAll(/(\d\.\d{4})\d+/g, "$1")).toMatchInlineSnapshot(`
      "fail checkpointing: the loss is 1.9652, without checkpointing 1.9651
        change: a layer that is rerun must compute the same again: no state of its own, no random numbers but pass.nextDropout, no op that overwrites its input"
    `);
  });

  test("no checkpoint is a warning", async () =>
    expect(await complaints(withSteps({ layer: (pass, _, body) => pass.scope(body) })))
      .toMatchInlineSnapshot(`
      "warn checkpointing: no part of the model is in pass.checkpoint: --checkpointing saves no memory
        change: run each layer in pass.checkpoint, as nn's encoder does"
    `));
});

describe("batches", () => {
  test("positions counted through the batch", async () => {
    const positions: Steps["positions"] = ({ ids }) => Int32Array.from(ids, (_, row) => row);
    expect(await complaints(withSteps({ positions }))).toMatchInlineSnapshot(`
      "fail batches: the logits of a sequence depend on its batch: they differ by 1.0e-1 alone and packed
        change: read positions from batch.positions and rows from batch.offsets, not from a row's index in the batch"
    `);
  });

  test("positions counted through the rows of a sequence", async () => {
    const positions: Steps["positions"] = ({ ids, offsets }) =>
      Int32Array.from(ids, (_, row) => row - Math.max(...offsets.filter((start) => start <= row)));
    expect(await complaints(withSteps({ positions }))).toMatchInlineSnapshot(`
      "fail batches: the order of tokens matters, but batch.positions does not
        change: take positions from batch.positions, which keep their values where a mask has holes; positions counted from the row's index do not"
    `);
  });
});

describe("dropout", () => {
  test("options without effect", async () =>
    expect(await complaints(withSteps({ hiddenDropout: (_, own) => own }))).toMatchInlineSnapshot(`
      "fail dropout: head.dropout.hidden and head.dropout.attention have no effect: nor has --dropout
        change: in build, take head.dropout?.hidden ?? the config's own probability"
    `));

  test("a probability that is fixed", async () =>
    expect(await complaints(withSteps({ hiddenDropout: () => 0.1 }))).toMatchInlineSnapshot(`
      "fail dropout: training drops values though every probability is 0
        change: read every probability from config.json, or from head.dropout where it is set"
    `));

  test("a mask of one's own, in evaluation too", async () => {
    const mask: Steps["mask"] = (pass, probability) => {
      const next = pass.nextDropout(probability);
      return probability > 0
        ? (next ?? { probability, seed: [1, 2], step: 0, site: 0 })
        : undefined;
    };
    expect(await complaints(withSteps({ mask }))).toMatchInlineSnapshot(`
      "fail dropout: dropout changes the logits of an evaluation
        change: take every mask from pass.nextDropout, which gives none outside training"
    `);
  });

  test("a mask that no seed repeats", async () => {
    let step = 0;
    const mask: Steps["mask"] = (pass, probability) => {
      const next = pass.nextDropout(probability);
      // only where much is dropped, so that no other check sees it
      return next && probability > 0.2 ? { ...next, step: step++ } : next;
    };
    expect(await complaints(withSteps({ mask }))).toMatchInlineSnapshot(`
      "fail dropout: two passes with the same seed give different losses
        change: take every mask from pass.nextDropout; forward must keep no state of its own"
    `);
  });
});

test("first tokens that are computed otherwise than all rows", async () => {
  const lastEps: Steps["lastEps"] = (observed) => (observed ? 1e-6 : 1e-3);
  expect(await complaints(withSteps({ lastEps }))).toMatchInlineSnapshot(`
    "fail first tokens: an observed pass gives other logits: they differ by 3.2e-4
      change: the last layer's first rows need the same residual, attention and norm as in the whole layer; what follows them must read the same rows"
  `);
});

describe("increments", () => {
  test("a layer whose forward is not called", async () => {
    const project: Steps["project"] = (layer, pass, x) => {
      const { weight, bias } = layer;
      return layer.path.endsWith("value")
        ? ops.linear(pass, { x, weight, bias }, {})
        : layer.forward(pass, x);
    };
    expect(await complaints(withSteps({ project }))).toMatchInlineSnapshot(`
      "fail increments: adapters of value have no effect: small.layer.0.value, small.layer.1.value
        change: call the layer's own forward(pass, x): ops.linear with its weight and bias leaves its adapter out"
    `);
  });

  test("an adapter that changes what else is computed", async () => {
    const project: Steps["project"] = (layer, pass, x) =>
      layer.path.endsWith("up") && layer.adapter
        ? layer.forward(pass, x, "tanh")
        : layer.forward(pass, x);
    expect(await complaints(withSteps({ project }))).toMatchInlineSnapshot(`
      "fail increments: adapters with zero increments change logits by 5.9e-1
        change: call the forward of each linear as it is: an adapter must not change what else is computed"
    `);
  });
});
