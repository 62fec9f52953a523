import { expect, test } from "bun:test";
import { shrunkConfigs } from "../../../core/model/shrink-config.ts";

test("widths keep their relations, and ids their equality, below the smaller vocabulary", () => {
  const [boldest] = shrunkConfigs({
    model_type: "any",
    vocab_size: 50000,
    hidden_size: 768,
    embedding_size: 128,
    pooler_hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    num_key_value_heads: 4,
    head_dim: 64,
    intermediate_size: 3072,
    max_position_embeddings: 514,
    local_attention: 128,
    layer_types: ["full", "sliding", "sliding", "full"],
    layer_norm_eps: 1e-5,
    pad_token_id: 1,
    sep_token_id: 49999,
    eos_token_id: [49998, 49999],
    bos_token_id: null,
  });
  expect(boldest).toEqual({
    about: "2 layers, 64 tokens, 2 heads, width 16",
    raw: {
      model_type: "any",
      vocab_size: 64,
      hidden_size: 16,
      embedding_size: 12,
      pooler_hidden_size: 16,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      head_dim: 8,
      intermediate_size: 24,
      max_position_embeddings: 64,
      local_attention: 8,
      layer_types: ["full", "sliding"],
      layer_norm_eps: 1e-5,
      pad_token_id: 1,
      sep_token_id: 63,
      eos_token_id: [62, 63],
      bos_token_id: null,
    },
  });
});

test("a model that is small already keeps its widths, and nothing grows", () => {
  const raw = { hidden_size: 12, num_attention_heads: 3, intermediate_size: 8, vocab_size: 20 };
  for (const shrunk of shrunkConfigs(raw)) expect(shrunk.raw).toEqual(raw);
});

test("each config changes less than the one before, and the last one nothing", () => {
  const raw = { d_model: 64, encoder_layers: 6, decoder_layers: 1, vocab_size: 99 };
  expect(shrunkConfigs(raw).map((shrunk) => shrunk.raw)).toEqual([
    { d_model: 16, encoder_layers: 2, decoder_layers: 1, vocab_size: 64 },
    { d_model: 64, encoder_layers: 2, decoder_layers: 1, vocab_size: 64 },
    { d_model: 64, encoder_layers: 2, decoder_layers: 1, vocab_size: 99 },
    raw,
  ]);
});
