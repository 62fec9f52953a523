import {
  type ForwardPass,
  type ModuleScope,
  nn,
  type PaddedQueries,
  type RotaryTables,
} from "../../core/kit/kit.ts";
import type { LayerType, ModernBertConfig } from "./config.ts";

/** Rotary tables of each kind of layer that the model has. */
type Rotations = Partial<Readonly<Record<LayerType, RotaryTables>>>;

/** Declares ModernBERT's embeddings, layers and last norm under the checkpoint's names. */
export function buildEncoder(
  config: ModernBertConfig,
  scope: ModuleScope,
  paddedQueries: PaddedQueries | undefined,
): nn.Encoder<Rotations> {
  const { vocabSize, hiddenSize: width, normEps, initializerRange: std, dropout } = config;
  const embeddings = scope.child("embeddings");
  const norm = { bias: config.bias.norm };
  return new nn.Encoder<Rotations>({
    embeddings: new nn.Embeddings({
      tables: [nn.words(embeddings.table("tok_embeddings", vocabSize, width, std))],
      norm: embeddings.layerNorm("norm", width, normEps, norm),
      dropout: dropout.embedding,
    }),
    layers: config.layerTypes.map((type, i) =>
      buildLayer(config, scope.child(`layers.${i}`), { type, isFirst: i === 0 }),
    ),
    norm: scope.layerNorm("final_norm", width, normEps, norm),
    share: (pass, rows) => rotationsOf(pass, rows, config),
    padding: { queries: paddedQueries, token: { id: config.padId } },
  });
}

// --- internal ---

function buildLayer(
  config: ModernBertConfig,
  scope: ModuleScope,
  { type, isFirst }: { type: LayerType; isFirst: boolean },
): nn.PreNormLayer<Rotations> {
  const { hiddenSize: width, ffnSize, normEps, initializerRange: std, bias, dropout } = config;
  const norm = (name: string) => scope.layerNorm(name, width, normEps, { bias: bias.norm });
  const attention = { bias: bias.attention };
  const mlp = { bias: bias.mlp };
  // The residual branches of all layers add up.
  const outStd = std / Math.sqrt(2 * config.layerTypes.length);
  return new nn.PreNormLayer<Rotations>({
    attention: new nn.FusedAttention<Rotations>({
      qkv: scope.linear("attn.Wqkv", width, 3 * width, std, {
        ...attention,
        parts: { query: width, key: width, value: width },
      }),
      output: scope.linear("attn.Wo", width, width, outStd, attention),
      heads: config.heads,
      dropout: dropout.attention,
      window: type === "sliding_attention" ? config.window : undefined,
      rotation: (rotations) => rotations[type],
    }),
    // The embeddings are normalized already.
    attentionNorm: isFirst ? undefined : norm("attn_norm"),
    mlp: new nn.GatedMlp({
      up: scope.linear("mlp.Wi", width, 2 * ffnSize, std, mlp),
      down: scope.linear("mlp.Wo", ffnSize, width, outStd, mlp),
      activation: config.activation,
      dropout: dropout.mlp,
    }),
    mlpNorm: norm("mlp_norm"),
    dropout: { attention: dropout.attention, mlp: 0 },
  });
}

function rotationsOf(
  pass: ForwardPass,
  { positions }: nn.SharedRows,
  { layerTypes, theta, hiddenSize, heads }: ModernBertConfig,
): nn.SharedState<Rotations> {
  const tables = [...new Set(layerTypes)].map((type) => {
    const rotary = { theta: theta[type], rotated: hiddenSize / heads };
    return [type, nn.uploadRotary(pass, positions, rotary)] as const;
  });
  return {
    value: Object.fromEntries(tables),
    buffers: tables.flatMap(([, { cos, sin }]) => [cos, sin]),
  };
}
