/** The modules of a plugin's model. */
export { adaptedModules } from "../nn/adapted-modules.ts";
export type { BatchRows, FirstTokens } from "../nn/batch-rows.ts";
export { drop } from "../nn/drop.ts";
export {
  Embeddings,
  type EmbeddingTable,
  type EmbeddingsParts,
  positions,
  tokenTypes,
  words,
} from "../nn/embeddings.ts";
export { Encoder, type EncoderParts, type SharedState } from "../nn/encoder.ts";
export {
  type EncoderLayer,
  type LayerSizes,
  PostNormLayer,
  type PostNormNames,
  type PostNormParts,
  queryRows,
} from "../nn/encoder-layer.ts";
export {
  type Backbone,
  firstToken,
  lastToken,
  meanOfTokens,
  PooledHead,
  type PooledHeadParts,
  type Pooling,
  SpanHead,
  type SpanHeadParts,
} from "../nn/heads.ts";
export { LayerNorm, type Norm, type ResidualNorm } from "../nn/layer-norm.ts";
export { Linear } from "../nn/linear.ts";
export { type FeedForward, Mlp, type MlpParts } from "../nn/mlp.ts";
export { uploadPacking } from "../nn/packed-batch.ts";
export { type Attention, SelfAttention, type SelfAttentionParts } from "../nn/self-attention.ts";
export { type Rotary, uploadRotary } from "../nn/rotary.ts";
