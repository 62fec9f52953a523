import { vocabulary } from "./tokenizer.ts";

/** The demo model's `config.json`: DeBERTa-v3's architecture, small. */
export function demoModelConfig(): object {
  return {
    model_type: "deberta-v2",
    architectures: ["DebertaV2Model"],
    vocab_size: vocabulary.length,
    hidden_size: 64,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    intermediate_size: 128,
    hidden_act: "gelu",
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    max_position_embeddings: 64,
    type_vocab_size: 0,
    initializer_range: 0.05,
    layer_norm_eps: 1e-7,
    relative_attention: true,
    position_biased_input: false,
    position_buckets: 32,
    max_relative_positions: -1,
    norm_rel_ebd: "layer_norm",
    share_att_key: true,
    pos_att_type: "p2c|c2p",
    pooler_dropout: 0,
    pooler_hidden_act: "gelu",
    pooler_hidden_size: 64,
    pad_token_id: 0,
  };
}
