/** The modules of a plugin's model. */
export { adaptedModules } from "../nn/adapted-modules.ts";
export { type AttendShape, attend } from "../nn/attend.ts";
export type { BatchRows, FirstTokens } from "../nn/batch-rows.ts";
export { drop } from "../nn/drop.ts";
export {
  Embeddings,
  type EmbeddingTable,
  type EmbeddingsParts,
  type EmbeddedTokens,
  positions,
  tokenTypes,
  words,
} from "../nn/embeddings.ts";
export { Encoder, type EncoderParts, type SharedRows, type SharedState } from "../nn/encoder.ts";
export {
  type EncoderLayer,
  type LayerSizes,
  PostNormLayer,
  type PostNormNames,
  type PostNormParts,
  PreNormLayer,
  type PreNormParts,
  queryRows,
} from "../nn/encoder-layer.ts";
export { FusedAttention, type FusedAttentionParts } from "../nn/fused-attention.ts";
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
export { LayerNorm, type Norm, type ResidualNorm, RMSNorm } from "../nn/norms.ts";
export { Linear, projectAll } from "../nn/linear.ts";
export { type FeedForward, GatedMlp, type GatedMlpParts, Mlp, type MlpParts } from "../nn/mlp.ts";
export { uploadPacking } from "../nn/packed-batch.ts";
export type { EncoderPadding, PaddingToken } from "../nn/padding.ts";
export { type Rotary, uploadRotary } from "../nn/rotary.ts";
export {
  type Attention,
  projectRows,
  SelfAttention,
  type SelfAttentionParts,
} from "../nn/self-attention.ts";
