import { configReader, definePlugin, tokenizers } from "../../core/kit/kit.ts";
import type { BartConfig } from "../../models/bart/config.ts";
import { buildBart } from "../../models/bart/model.ts";

const LAYER = String.raw`^model\.(encoder|decoder)\.layers\.\d+\.`;
const ATTENTION = String.raw`${LAYER}(self|encoder)_attn\.`;

/** BART: an encoder-decoder, for summarization. */
export const bart = definePlugin<BartConfig>({
  name: "bart",
  modelTypes: ["bart"],
  tasks: ["generation"],

  parseConfig(raw) {
    const c = configReader(raw, "config.json");
    const [vocabSize, hiddenSize] = [c.width("vocab_size"), c.width("d_model")];
    const stack = (side: "encoder" | "decoder") => {
      const heads = c.width(`${side}_attention_heads`);
      const must = `a divisor of ${hiddenSize}, the d_model`;
      c.check(`${side}_attention_heads`, hiddenSize % heads === 0, must);
      const dropped = `${side}_layerdrop`;
      c.check(dropped, c.number(dropped, 0) === 0, "0: LayerDrop is not implemented");
      return { heads, layers: c.layers(`${side}_layers`), ffnSize: c.width(`${side}_ffn_dim`) };
    };
    const id = (key: string, fallback: number) => {
      const found = c.int(key, fallback);
      c.check(key, found >= 0 && found < vocabSize, `an id below the vocab_size, ${vocabSize}`);
      return found;
    };
    // Keys of older checkpoints; only the released models' variant is implemented.
    for (const key of ["normalize_before", "add_final_layer_norm", "static_position_embeddings"])
      c.check(key, !c.bool(key, false), "false, as in the released models");
    c.check("tie_word_embeddings", c.bool("tie_word_embeddings", true), "true");
    return {
      vocabSize,
      hiddenSize,
      encoder: stack("encoder"),
      decoder: stack("decoder"),
      maxPositions: c.width("max_position_embeddings", 1024),
      activation: c.activation("activation_function", "gelu"),
      scaleEmbedding: c.bool("scale_embedding", false),
      initializerRange: c.notNegative("init_std", 0.02),
      special: {
        start: id("decoder_start_token_id", 2),
        pad: id("pad_token_id", 1),
        end: id("eos_token_id", 2),
      },
      dropout: {
        hidden: c.probability("dropout", 0.1),
        attention: c.probability("attention_dropout", 0),
        activation: c.probability("activation_dropout", 0),
      },
    };
  },

  limits: ({ vocabSize, maxPositions }) => ({ vocabSize, maxLength: maxPositions }),

  build: buildBart,

  weights: {
    prefix: "model.",
    rename: [],
    copies: [
      [/^(model\.)?(encoder|decoder)\.embed_tokens\.weight$/, "model.shared.weight"],
      [/^lm_head\.weight$/, "model.shared.weight"],
    ],
    ignore: [/^(model\.)?(encoder|decoder)\.version$/, /^classification_head\./],
    optional: [/^final_logits_bias$/],
  },

  adapters: {
    modules: {
      q_proj: new RegExp(String.raw`${ATTENTION}q_proj$`),
      k_proj: new RegExp(String.raw`${ATTENTION}k_proj$`),
      v_proj: new RegExp(String.raw`${ATTENTION}v_proj$`),
      out_proj: new RegExp(String.raw`${ATTENTION}out_proj$`),
      fc1: new RegExp(String.raw`${LAYER}fc1$`),
      fc2: new RegExp(String.raw`${LAYER}fc2$`),
    },
    prefixes: { "cross.": new RegExp(String.raw`${LAYER}encoder_attn\.`) },
    trainable: [],
    saved: [],
  },

  tokenizer: tokenizers.bart,
});
