import { configReader, definePlugin, nn, tokenizers } from "../../core/kit/kit.ts";
import type { ModernBertConfig } from "../../models/modernbert/config.ts";
import { buildModernBert } from "../../models/modernbert/model.ts";
import { layerTypesOf, thetaOf } from "./layers.ts";

const HEADS = /^(head|classifier)\./;

/** ModernBERT, and models of its architecture such as mmBERT and Ettin's encoders. */
export const modernbert = definePlugin<ModernBertConfig>({
  name: "modernbert",
  modelTypes: ["modernbert"],
  tasks: ["classification", "regression", "span"],

  parseConfig(raw) {
    const c = configReader(raw, "config.json");
    const [hiddenSize, heads] = [c.width("hidden_size"), c.width("num_attention_heads")];
    c.check(
      "hidden_size",
      hiddenSize % (2 * heads) === 0,
      `a multiple of ${2 * heads}: ${heads} attention heads of even width`,
    );
    const vocabSize = c.width("vocab_size");
    return {
      vocabSize,
      padId: c.between("pad_token_id", 50_283, 0, vocabSize - 1),
      hiddenSize,
      heads,
      ffnSize: c.width("intermediate_size"),
      activation: c.activation("hidden_activation", "gelu"),
      maxPositions: c.width("max_position_embeddings", 8192),
      normEps: c.positive("norm_eps", 1e-5),
      initializerRange: c.notNegative("initializer_range", 0.02),
      layerTypes: layerTypesOf(raw, "config.json"),
      theta: thetaOf(raw, "config.json"),
      window: Math.floor(c.between("local_attention", 128, 0) / 2),
      bias: {
        norm: c.bool("norm_bias", false),
        attention: c.bool("attention_bias", false),
        mlp: c.bool("mlp_bias", false),
        head: c.bool("classifier_bias", false),
      },
      pooling: c.oneOf("classifier_pooling", ["cls", "mean"], "cls"),
      headActivation: c.activation("classifier_activation", "gelu"),
      dropout: {
        embedding: c.probability("embedding_dropout", 0),
        attention: c.probability("attention_dropout", 0),
        mlp: c.probability("mlp_dropout", 0),
        head: c.probability("classifier_dropout", 0),
      },
    };
  },

  limits: ({ vocabSize, maxPositions }) => ({ vocabSize, maxLength: maxPositions }),

  build: buildModernBert,

  weights: {
    prefix: "model.",
    rename: [],
    ignore: [/^decoder\./], // of masked language modelling, whose `head` is the classifier's too
    optional: [HEADS],
  },

  adapters: {
    modules: nn.adaptedModules("model.layers", {
      query: "attn.Wqkv.query",
      key: "attn.Wqkv.key",
      value: "attn.Wqkv.value",
      output: "attn.Wo",
      up: "mlp.Wi",
      down: "mlp.Wo",
    }),
    prefixes: {},
    trainable: [HEADS],
    saved: ["head", "classifier"],
  },

  tokenizer: tokenizers.modernbert,
});
