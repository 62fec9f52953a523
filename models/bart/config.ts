import type { ActivationKind } from "../../core/kernels/elementwise.ts";
import type { SpecialIds } from "../../core/model/plugin.ts";

/** Size of the encoder, or of the decoder. */
export interface BartStack {
  readonly layers: number;
  readonly heads: number;
  readonly ffnSize: number;
}

/** What a BART checkpoint says of its architecture. */
export interface BartConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly encoder: BartStack;
  readonly decoder: BartStack;
  readonly maxPositions: number;
  readonly activation: ActivationKind;
  /** Word embeddings are multiplied by sqrt(hiddenSize). */
  readonly scaleEmbedding: boolean;
  readonly initializerRange: number;
  readonly special: SpecialIds;
  readonly dropout: {
    readonly hidden: number;
    readonly attention: number;
    /** After the feed-forward block's activation. */
    readonly activation: number;
  };
}

/** Of every LayerNorm: no checkpoint says otherwise. */
export const LAYER_NORM_EPS = 1e-5;
