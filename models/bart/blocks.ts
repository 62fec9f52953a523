import { type ModuleScope, nn, type Parameter } from "../../core/kit/kit.ts";
import { BartAttention } from "./attention.ts";
import { type BartConfig, type BartStack, LAYER_NORM_EPS } from "./config.ts";

/** The position embeddings of released models begin with two unused rows. */
const FIRST_POSITION = 2;

/**
 * Word embeddings, shared by encoder, decoder and output, plus position embeddings of the encoder
 * or the decoder, normalised. `scope`: the encoder's or the decoder's.
 */
export function bartEmbeddings(
  scope: ModuleScope,
  words: Parameter,
  config: BartConfig,
): nn.Embeddings {
  const { hiddenSize, maxPositions, initializerRange, scaleEmbedding, special } = config;
  const rows = maxPositions + FIRST_POSITION;
  const positions = scope.table("embed_positions", rows, hiddenSize, initializerRange);
  return new nn.Embeddings({
    tables: [
      nn.words(words, {
        paddingId: special.pad,
        scale: scaleEmbedding ? Math.sqrt(hiddenSize) : 1,
      }),
      nn.positions(positions, FIRST_POSITION),
    ],
    norm: scope.layerNorm("layernorm_embedding", hiddenSize, LAYER_NORM_EPS),
    dropout: config.dropout.hidden,
  });
}

/** Maps source tokens to hidden states. */
export function bartEncoder(scope: ModuleScope, words: Parameter, config: BartConfig): nn.Encoder {
  return new nn.Encoder({
    embeddings: bartEmbeddings(scope, words, config),
    layers: Array.from({ length: config.encoder.layers }, (_, i) =>
      encoderLayer(scope.child(`layers.${i}`), config),
    ),
    observedAs: "encoder_hidden",
  });
}

/** Attention of a layer, "self_attn" or "encoder_attn", and the LayerNorm behind it. */
export function bartAttention(
  layer: ModuleScope,
  name: string,
  config: BartConfig,
  stack: BartStack,
): { readonly attention: BartAttention; readonly attentionNorm: nn.LayerNorm } {
  return {
    attention: new BartAttention(layer.child(name), config, stack),
    attentionNorm: layer.layerNorm(`${name}_layer_norm`, config.hiddenSize, LAYER_NORM_EPS),
  };
}

/** A layer's feed-forward block and the LayerNorm behind it. */
export function bartMlp(
  layer: ModuleScope,
  { hiddenSize, initializerRange: std, activation, dropout }: BartConfig,
  { ffnSize }: BartStack,
): { readonly mlp: nn.Mlp; readonly mlpNorm: nn.LayerNorm } {
  return {
    mlp: new nn.Mlp({
      up: layer.linear("fc1", hiddenSize, ffnSize, std),
      down: layer.linear("fc2", ffnSize, hiddenSize, std),
      activation,
      dropout: dropout.activation,
    }),
    mlpNorm: layer.layerNorm("final_layer_norm", hiddenSize, LAYER_NORM_EPS),
  };
}

// --- internal ---

function encoderLayer(scope: ModuleScope, config: BartConfig): nn.PostNormLayer {
  return new nn.PostNormLayer({
    ...bartAttention(scope, "self_attn", config, config.encoder),
    ...bartMlp(scope, config, config.encoder),
    dropout: config.dropout.hidden,
  });
}
