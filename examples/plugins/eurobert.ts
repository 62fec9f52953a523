import { configReader, definePlugin, nn, ops, type TokenizerFamily } from "adalora";
import type { ForwardPass, Model, ModuleScope, RotaryTables, TokenBatch } from "adalora";

const HEADS = /^(dense|classifier)\./;
const NAMES = {
  query: "self_attn.q_proj",
  key: "self_attn.k_proj",
  value: "self_attn.v_proj",
  output: "self_attn.o_proj",
  up: "mlp.gate_proj",
  down: "mlp.down_proj",
};

const END = "<|end_of_text|>";
/**
 * Byte-level BPE in tokenizer.json alone. No text has an unknown byte, so no token stands for one.
 */
const tokenizer: TokenizerFamily = {
  name: "eurobert",
  special: { pad: END, cls: "<|begin_of_text|>", sep: END, unk: END },
};

type Config = ReturnType<typeof parseConfig>;

function parseConfig(raw: Readonly<Record<string, unknown>>) {
  const c = configReader(raw, "config.json");
  const [hiddenSize, heads] = [c.width("hidden_size"), c.width("num_attention_heads")];
  const keyHeads = c.width("num_key_value_heads", heads);
  const rope = raw["rope_parameters"] ?? raw["rope_scaling"] ?? {};
  const scaling = configReader({ rope_type: "default", ...rope }, "config.json: rope_parameters");
  scaling.oneOf("rope_type", ["default"]);
  c.check("num_key_value_heads", heads % keyHeads === 0, `a divisor of ${heads}, the heads`);
  const headDim = c.width("head_dim", hiddenSize / heads);
  c.check("head_dim", headDim % 2 === 0, "even: columns are rotated in pairs", headDim);
  return {
    vocabSize: c.width("vocab_size"),
    hiddenSize,
    layers: c.layers("num_hidden_layers"),
    heads,
    keyHeads,
    headDim,
    ffnSize: c.width("intermediate_size"),
    activation: c.activation("hidden_act", "silu"),
    normEps: c.positive("rms_norm_eps", 1e-5),
    initializerRange: c.notNegative("initializer_range", 0.02),
    maxPositions: c.width("max_position_embeddings", 8192),
    theta: scaling.positive("rope_theta", c.positive("rope_theta", 10_000)),
    attentionBias: c.bool("attention_bias", false),
    mlpBias: c.bool("mlp_bias", false),
    pooling: c.oneOf("classifier_pooling", ["bos", "mean", "late"], "late"),
    attentionDropout: c.probability("attention_dropout", 0),
  };
}

/** A layer like Llama's without its mask: RMSNorm, rotary positions, grouped keys, SwiGLU. */
function layer(config: Config, scope: ModuleScope, dropout: number) {
  const { hiddenSize: width, ffnSize, heads, keyHeads, headDim, initializerRange: std } = config;
  const attention = (name: string, from: number, to: number) =>
    scope.linear(name, from, to, std, { bias: config.attentionBias });
  const mlp = (name: string, from: number, to: number) =>
    scope.linear(name, from, to, std, { bias: config.mlpBias });
  return new nn.PreNormLayer<RotaryTables>({
    attentionNorm: scope.rmsNorm("input_layernorm", width, config.normEps),
    attention: new nn.SelfAttention<RotaryTables>({
      query: attention(NAMES.query, width, heads * headDim),
      key: attention(NAMES.key, width, keyHeads * headDim),
      value: attention(NAMES.value, width, keyHeads * headDim),
      output: attention(NAMES.output, heads * headDim, width),
      heads,
      rotary: (rotation) => rotation,
      dropout,
    }),
    mlpNorm: scope.rmsNorm("post_attention_layernorm", width, config.normEps),
    mlp: new nn.GatedMlp({
      up: mlp(NAMES.up, width, ffnSize),
      gate: mlp("mlp.up_proj", width, ffnSize),
      down: mlp(NAMES.down, ffnSize, width),
      activation: config.activation,
    }),
    dropout: 0,
  });
}

function encoder(config: Config, scope: ModuleScope, attentionDropout: number) {
  const { vocabSize, hiddenSize: width, initializerRange: std, theta, headDim } = config;
  return new nn.Encoder<RotaryTables>({
    embeddings: new nn.Embeddings({
      tables: [nn.words(scope.table("embed_tokens", vocabSize, width, std))],
      dropout: 0,
    }),
    layers: Array.from({ length: config.layers }, (_, i) =>
      layer(config, scope.child(`layers.${i}`), attentionDropout),
    ),
    norm: scope.rmsNorm("norm", width, config.normEps),
    share(pass, { positions }) {
      const value = nn.uploadRotary(pass, positions, { theta, rotated: headDim });
      return { value, buffers: [value.cos, value.sin] };
    },
  });
}

/** EuroBERT: a bidirectional Llama. Its classifier pools hidden states, or "late", logits. */
export default definePlugin<Config>({
  name: "eurobert",
  modelTypes: ["eurobert"],
  tasks: ["classification", "regression"],
  parseConfig,
  limits: ({ vocabSize, maxPositions }) => ({ vocabSize, maxLength: maxPositions }),

  build(config, { labels, dropout = {} }, scope): Model {
    const { hiddenSize: width, initializerRange: std } = config;
    const { attention = config.attentionDropout, head = 0 } = dropout;
    const parts = {
      encoder: encoder(config, scope.child("model"), attention),
      dense: scope.linear("dense", width, width, std),
      activation: "gelu" as const,
      output: scope.linear("classifier", width, labels, std),
    };
    const pooling = config.pooling === "bos" ? nn.firstToken : nn.meanOfTokens;
    if (config.pooling !== "late")
      return new nn.PooledHead({ ...parts, pooling, dropout: { output: head } });
    const tokens = new nn.SpanHead({ ...parts, dropout: head }); // a head on each token
    return {
      forward: (pass: ForwardPass, batch: TokenBatch) =>
        ops.meanRows(pass, { x: tokens.forward(pass, batch) }, { offsets: batch.offsets }),
    };
  },

  weights: { prefix: "model.", rename: [], ignore: [/^lm_head\./], optional: [HEADS] },

  adapters: {
    modules: { ...nn.adaptedModules("model.layers", NAMES), gate: /\.mlp\.up_proj$/ },
    prefixes: {},
    trainable: [HEADS],
    saved: ["dense", "classifier"],
  },

  tokenizer,
});
