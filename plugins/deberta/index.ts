import { configReader, definePlugin, tokenizers } from "../../core/kit/kit.ts";
import type { DebertaConfig } from "../../models/deberta/config.ts";
import { buildDeberta } from "../../models/deberta/model.ts";

const LAYER = String.raw`^deberta\.encoder\.layer\.\d+\.`;

/** DeBERTa v2 and v3 (both are model_type "deberta-v2"): disentangled attention, encoder only. */
export const deberta = definePlugin<DebertaConfig>({
  name: "deberta",
  modelTypes: ["deberta-v2"],
  tasks: ["classification", "regression", "span"],

  parseConfig(raw) {
    const c = configReader(raw, "config.json");
    const [hiddenSize, heads] = [c.width("hidden_size"), c.width("num_attention_heads")];
    const maxPositions = c.width("max_position_embeddings", 512);
    const maxRelative = c.between("max_relative_positions", -1, -1);
    const hidden = c.probability("hidden_dropout_prob", 0.1);
    const convKernelSize = c.between("conv_kernel_size", 0, -1, 99);
    const relativeAttention = c.bool("relative_attention", false);
    const positionBuckets = c.between("position_buckets", -1, -1);
    // transformers divides by half of the buckets, rounded down.
    c.check(
      "position_buckets",
      !relativeAttention || positionBuckets !== 1,
      "0 or -1 (none) or above 1",
    );
    c.check(
      "conv_groups",
      c.int("conv_groups", 1) === 1,
      "1: grouped convolutions are not implemented",
    );
    c.check("conv_kernel_size", convKernelSize <= 0 || convKernelSize % 2 === 1, "odd");
    c.check("hidden_size", hiddenSize % heads === 0, `a multiple of ${heads}, the attention heads`);
    return {
      vocabSize: c.width("vocab_size"),
      hiddenSize,
      embeddingSize: c.width("embedding_size", hiddenSize),
      layers: c.layers("num_hidden_layers"),
      heads,
      headDim: c.width("attention_head_size", hiddenSize / heads),
      ffnSize: c.width("intermediate_size"),
      activation: c.activation("hidden_act", "gelu"),
      layerNormEps: c.positive("layer_norm_eps", 1e-7),
      initializerRange: c.notNegative("initializer_range", 0.02),
      maxPositions,
      typeVocabSize: c.between("type_vocab_size", 0, 0),
      positionBiasedInput: c.bool("position_biased_input", true),
      relativeAttention,
      positionBuckets: Math.max(0, positionBuckets),
      maxRelativePositions: maxRelative < 1 ? maxPositions : maxRelative,
      posAttType: c.words("pos_att_type", ["c2p", "p2c"]),
      shareAttKey: c.bool("share_att_key", false),
      normRelEmbeddings: c.words("norm_rel_ebd", ["layer_norm", "none"]).includes("layer_norm"),
      convKernelSize,
      convActivation: c.activation("conv_act", "tanh"),
      poolerSize: c.width("pooler_hidden_size", hiddenSize),
      poolerActivation: c.activation("pooler_hidden_act", "gelu"),
      dropout: {
        hidden,
        attention: c.probability("attention_probs_dropout_prob", 0.1),
        pooler: c.probability("pooler_dropout", 0),
        head: c.probability("cls_dropout", hidden),
      },
    };
  },

  limits: ({ vocabSize, maxPositions, positionBiasedInput }) => ({
    vocabSize,
    // Relative positions alone have no limit: distant offsets share the last bucket.
    maxLength: positionBiasedInput ? maxPositions : Infinity,
  }),

  build: buildDeberta,

  weights: {
    prefix: "deberta.",
    rename: [
      [/\.LayerNorm\.gamma$/, ".LayerNorm.weight"],
      [/\.LayerNorm\.beta$/, ".LayerNorm.bias"],
    ],
    ignore: [
      /^(lm_predictions|mask_predictions|cls)\./, // pretraining heads
      /^(qa_outputs|pooler|classifier)\./, // heads of other tasks
      /\.position_ids$/,
      /\.pos_q_proj\./,
    ],
    optional: [/^(pooler|classifier|qa_outputs)\./],
  },

  adapters: {
    modules: {
      query: new RegExp(String.raw`${LAYER}attention\.self\.query_proj$`),
      key: new RegExp(String.raw`${LAYER}attention\.self\.key_proj$`),
      value: new RegExp(String.raw`${LAYER}attention\.self\.value_proj$`),
      intermediate: new RegExp(String.raw`${LAYER}intermediate\.dense$`),
      "layer.output": new RegExp(String.raw`${LAYER}output\.dense$`),
      "attention.output": new RegExp(String.raw`${LAYER}attention\.output\.dense$`),
    },
    prefixes: {},
    trainable: [/^(pooler|classifier|qa_outputs)\./],
    saved: ["pooler", "classifier", "qa_outputs"],
  },

  tokenizer: tokenizers.deberta,
});
