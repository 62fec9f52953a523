import type { ActivationKind, SpecialIds } from "../../core/kit/kit.ts";

/** The sizes of the encoder or the decoder. */
export interface BartStack {
  readonly layers: number;
  readonly heads: number;
  readonly ffnSize: number;
}

/** The architecture of a BART checkpoint. */
export interface BartConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly encoder: BartStack;
  readonly decoder: BartStack;
  readonly maxPositions: number;
  readonly activation: ActivationKind;
  /** Whether word embeddings are multiplied by sqrt(hiddenSize). */
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

/** The eps of every LayerNorm; config.json has no key for it. */
export const LAYER_NORM_EPS = 1e-5;
