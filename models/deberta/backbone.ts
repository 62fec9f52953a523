import {
  type ForwardPass,
  type ModuleScope,
  nn,
  ops,
  type PaddedQueries,
  type Parameter,
} from "../../core/kit/kit.ts";
import { DebertaAttention, type DebertaShared, type RelativeTable } from "./attention.ts";
import type { DebertaConfig } from "./config.ts";
import { ConvolvedLayer, DebertaConvolution } from "./convolution.ts";
import { relativeRows, relativeSpan } from "./relative-positions.ts";

/** Embeddings and encoder; the checkpoint's prefix is "deberta.". `queries`: see `PaddedQueries`. */
export function debertaBackbone(
  root: ModuleScope,
  config: DebertaConfig,
  queries: PaddedQueries | undefined,
): nn.Encoder<DebertaShared> {
  const scope = root.child("deberta");
  const embeddings = debertaEmbeddings(scope.child("embeddings"), config);
  const encoder = scope.child("encoder");
  const layers: nn.EncoderLayer<DebertaShared>[] = Array.from({ length: config.layers }, (_, i) =>
    debertaLayer(encoder.child(`layer.${i}`), config),
  );
  const relative = relativeTable(encoder, config);
  const [first] = layers;
  if (config.convKernelSize > 0 && first)
    layers[0] = new ConvolvedLayer(first, new DebertaConvolution(encoder.child("conv"), config));
  return new nn.Encoder<DebertaShared>({
    embeddings,
    layers,
    padding: { queries },
    share(pass, { batch, packing }) {
      const table = relative?.(pass, packing.span);
      const buffers = [table?.embeddings.buffer, table?.index];
      return { value: { batch, relative: table }, buffers };
    },
  });
}

// --- internal ---

/** Word embeddings, plus the checkpoint's position and segment embeddings if any, normalised. */
function debertaEmbeddings(scope: ModuleScope, config: DebertaConfig): nn.Embeddings {
  const { embeddingSize, hiddenSize, initializerRange: std } = config;
  const table = (name: string, rows: number) => scope.table(name, rows, embeddingSize, std);
  const tables = [nn.words(table("word_embeddings", config.vocabSize))];
  if (config.positionBiasedInput)
    tables.push(nn.positions(table("position_embeddings", config.maxPositions)));
  if (config.typeVocabSize > 0)
    tables.push(nn.tokenTypes(table("token_type_embeddings", config.typeVocabSize)));
  return new nn.Embeddings({
    tables,
    projection:
      embeddingSize === hiddenSize
        ? undefined
        : scope.table("embed_proj", hiddenSize, embeddingSize, std),
    norm: scope.layerNorm("LayerNorm", hiddenSize, config.layerNormEps),
    dropout: config.dropout.hidden,
  });
}

/** Attention, then the feed-forward block, each with residual and LayerNorm. */
function debertaLayer(scope: ModuleScope, config: DebertaConfig): nn.PostNormLayer<DebertaShared> {
  const { hiddenSize, ffnSize, activation, layerNormEps, initializerRange: std } = config;
  return new nn.PostNormLayer<DebertaShared>({
    attention: new DebertaAttention(scope.child("attention"), config),
    attentionNorm: scope.layerNorm("attention.output.LayerNorm", hiddenSize, layerNormEps),
    mlp: new nn.Mlp({
      up: scope.linear("intermediate.dense", hiddenSize, ffnSize, std),
      down: scope.linear("output.dense", ffnSize, hiddenSize, std),
      activation,
    }),
    mlpNorm: scope.layerNorm("output.LayerNorm", hiddenSize, layerNormEps),
    dropout: config.dropout.hidden,
  });
}

/**
 * Declares the relative embeddings that the layers share. Returns their rows within reach of
 * sequences of up to `span` positions: at most 2 span - 1.
 */
function relativeTable(scope: ModuleScope, config: DebertaConfig) {
  const { hiddenSize, initializerRange: std, layerNormEps, normRelEmbeddings } = config;
  if (!config.relativeAttention) {
    if (normRelEmbeddings) scope.unused("LayerNorm.weight", "LayerNorm.bias");
    return undefined;
  }
  const table: Parameter = scope.table("rel_embeddings", 2 * relativeSpan(config), hiddenSize, std);
  const norm = normRelEmbeddings
    ? scope.layerNorm("LayerNorm", hiddenSize, layerNormEps)
    : undefined;
  return (pass: ForwardPass, span: number): RelativeTable => {
    const { first, count, index } = relativeRows(span, config);
    const ids = pass.integers(Int32Array.from({ length: count }, (_, i) => first + i));
    const rows = ops.gatherRows(pass, { table }, { ids });
    const embeddings = norm ? norm.forward(pass, rows) : rows;
    return { embeddings, index: pass.integers(index) };
  };
}
