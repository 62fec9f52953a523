import type { ActivationKind } from "../../core/kernels/elementwise.ts";

/** What a DeBERTa v2/v3 checkpoint says of its architecture. */
export interface DebertaConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly embeddingSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  readonly ffnSize: number;
  readonly activation: ActivationKind;
  readonly layerNormEps: number;
  readonly initializerRange: number;
  readonly maxPositions: number;
  readonly typeVocabSize: number;
  /** Absolute positions are added to the word embeddings (v1, some v2); v3 has relative ones alone. */
  readonly positionBiasedInput: boolean;
  readonly relativeAttention: boolean;
  /** Log buckets on each side; 0 means raw offsets. */
  readonly positionBuckets: number;
  /** Offsets are cut here where there are no buckets. */
  readonly maxRelativePositions: number;
  readonly posAttType: readonly ("c2p" | "p2c")[];
  /** Position keys and queries pass through key_proj and query_proj instead of projections of their own. */
  readonly shareAttKey: boolean;
  readonly normRelEmbeddings: boolean;
  /** Kernel of the convolution beside the first layer (v2-xlarge); 0 means none. */
  readonly convKernelSize: number;
  readonly convActivation: ActivationKind;
  readonly poolerSize: number;
  readonly poolerActivation: ActivationKind;
  readonly dropout: {
    readonly hidden: number;
    readonly attention: number;
    readonly pooler: number;
    /** Before the classifier. */
    readonly head: number;
  };
}
