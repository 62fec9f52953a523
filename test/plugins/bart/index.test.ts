import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { HostTensor } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { openCheckpoint } from "../../../core/io/checkpoint-files.ts";
import { toFloat64 } from "../../../core/io/float-conversion.ts";
import { openTorchCheckpoint } from "../../../core/io/torch-pickle.ts";
import { loadWeights } from "../../../core/model/load-weights.ts";
import { declareModel } from "../../../core/model/open-model.ts";
import { bart } from "../../../plugins/bart/index.ts";

const cases = join(import.meta.dir, "../../golden/cases");
const config = await Bun.file(join(cases, "04-bart/config.json")).json();

function load(tensors: ReadonlyMap<string, HostTensor>): readonly string[] {
  const head = { task: "generation", labels: 0 } as const;
  const { tree } = declareModel(bart, bart.parseConfig(config), head);
  const where = "model.safetensors";
  const fresh = loadWeights(createReferenceBackend(), tree, tensors, bart, { where, seed: 1 });
  return fresh.map(({ name }) => name);
}

describe("a checkpoint of BART", () => {
  const { tensors } = openCheckpoint(join(cases, "04-bart"));
  const prefixless = openCheckpoint(join(cases, "04-bart-prefixless")).tensors;
  const first = [...tensors.values()][0];
  if (!first) throw new Error("the case has no weights");
  const withKey = (key: string) => new Map([...tensors, [key, first]]);

  test("with everything in place leaves nothing fresh", () => expect(load(tensors)).toEqual([]));

  test("of the bare model has its keys without the prefix, and no bias of the logits", () => {
    expect(prefixless.has("decoder.layers.1.encoder_attn.q_proj.weight")).toBe(true);
    expect(load(prefixless)).toEqual(["final_logits_bias"]);
  });

  test("with the tied copies of the embeddings, under both names, leaves them", () => {
    const tied = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
    const bin = openTorchCheckpoint(join(cases, "04-bart/pytorch_model.bin"));
    for (const key of tied) expect(bin.has(`model.${key}`)).toBe(true);
    expect(bin.has("lm_head.weight")).toBe(true);
    expect(load(bin)).toEqual([]);
    const bare = openTorchCheckpoint(join(cases, "04-bart-prefixless/pytorch_model.bin"));
    for (const key of tied) expect(bare.has(key)).toBe(true);
    expect(load(bare)).toEqual(["final_logits_bias"]);
  });

  const shared = tensors.get("model.shared.weight")!;
  const changed = { ...shared, bytes: shared.bytes.slice() };
  changed.bytes[5]! ^= 1;
  const copies = [
    "lm_head.weight",
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
  ];

  test.each(copies)("whose own %s differs from the embeddings is refused by name", (key) => {
    expect(load(new Map([...tensors, [key, { ...shared }]]))).toEqual([]);
    for (const all of [
      new Map([...tensors, [key, changed]]),
      new Map([[key, changed], ...tensors]),
    ])
      expect(() => load(all)).toThrow(
        `model.safetensors: ${key} differs from model.shared.weight: a model with untied embeddings is not supported`,
      );
    const taller = { ...shared, shape: [shared.shape[0]! - 1, shared.shape[1]!] };
    expect(() => load(new Map([...tensors, [key, taller]]))).toThrow(`${key} differs from`);
  });

  test("with equal copies in another precision is read", () => {
    const halves = Float64Array.from(toFloat64(shared));
    const f64 = { dtype: "F64", shape: shared.shape, bytes: new Uint8Array(halves.buffer) };
    expect(load(new Map<string, HostTensor>([...tensors, ["lm_head.weight", f64]]))).toEqual([]);
  });

  test.each(copies)("without the embeddings, but with %s, is read from that", (key) => {
    const rest = [...tensors].filter(([name]) => name !== "model.shared.weight");
    expect(load(new Map([...rest, [key, shared]]))).toEqual([]);
  });

  test("with what older programs left in it", () => {
    for (const key of [
      "model.encoder.version",
      "decoder.version",
      "classification_head.dense.weight",
    ])
      expect(load(withKey(key))).toEqual([]);
  });

  test("with an unknown key, or without a required one, is refused", () => {
    expect(() => load(withKey("model.encoder.layer_norm.weight"))).toThrow(
      'model.safetensors: 1 key is neither mapped nor ignored by plugin "bart": model.encoder.layer_norm.weight',
    );
    const lacking = new Map([...tensors].filter(([key]) => key !== "model.shared.weight"));
    expect(() => load(lacking)).toThrow(
      "model.safetensors: 1 weights are missing: model.shared.weight",
    );
  });
});

test("BART is refused what it does not do", () =>
  expect(() =>
    declareModel(bart, bart.parseConfig(config), { task: "classification", labels: 2 }),
  ).toThrow('the model family "bart" does not support classification'));

describe("BART's config.json", () => {
  const parse = (changes: object) => () => bart.parseConfig({ ...config, ...changes });
  const says = (key: string, want: string, got: string) =>
    `config.json: "${key}" must be ${want}, got ${got}`;

  test("is read", () =>
    expect(parse({ scale_embedding: true, attention_dropout: 0.2 })()).toEqual({
      vocabSize: 64,
      hiddenSize: 32,
      encoder: { layers: 2, heads: 4, ffnSize: 48 },
      decoder: { layers: 2, heads: 4, ffnSize: 40 },
      maxPositions: 48,
      activation: "gelu",
      scaleEmbedding: true,
      initializerRange: 0.02,
      special: { start: 2, pad: 1, end: 2 },
      dropout: { hidden: 0, attention: 0.2, activation: 0 },
    }));

  for (const key of [
    "vocab_size",
    "d_model",
    "encoder_layers",
    "decoder_layers",
    "encoder_attention_heads",
    "decoder_attention_heads",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
  ])
    test(`needs ${key}`, () => {
      expect(parse({ [key]: undefined })).toThrow(says(key, "a whole number above 0", "undefined"));
      expect(parse({ [key]: "12" })).toThrow(says(key, "a whole number above 0", '"12"'));
    });

  const wrong: [key: string, value: unknown, want: string][] = [
    [
      "activation_function",
      "mish",
      "one of gelu, gelu_new, relu, silu, tanh, gelu_pytorch_tanh, swish",
    ],
    ["decoder_attention_heads", 5, "a divisor of 32, the d_model"],
    ["encoder_layerdrop", 0.1, "0: LayerDrop is not implemented"],
    ["decoder_layerdrop", 0.1, "0: LayerDrop is not implemented"],
    ["normalize_before", true, "false, as in the released models"],
    ["add_final_layer_norm", true, "false, as in the released models"],
    ["static_position_embeddings", true, "false, as in the released models"],
    ["tie_word_embeddings", false, "true"],
    ["scale_embedding", 1, "true or false"],
    ["pad_token_id", 64, "an id below the vocab_size, 64"],
    ["decoder_start_token_id", -1, "an id below the vocab_size, 64"],
  ];
  for (const [key, value, want] of wrong)
    test(`${key} ${JSON.stringify(value)} is refused`, () =>
      expect(parse({ [key]: value })).toThrow(says(key, want, JSON.stringify(value))));

  test("null means the default, as transformers writes it", () => {
    const defaults = { activation_function: "gelu", dropout: 0.1, decoder_start_token_id: 2 };
    for (const [key, value] of Object.entries(defaults))
      expect(parse({ [key]: null })()).toEqual(parse({ [key]: value })());
  });

  test("says how long a text may be", () =>
    expect(bart.limits(parse({ max_position_embeddings: 7 })())).toEqual({
      vocabSize: 64,
      maxLength: 7,
    }));
});
