import type { ActivationKind } from "../../core/kit/kit.ts";

/** The architecture of a DeBERTa v2 or v3 checkpoint. */
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
  /** Whether absolute positions are added to word embeddings (v1, some v2; v3: relative only). */
  readonly positionBiasedInput: boolean;
  readonly relativeAttention: boolean;
  /** Logarithmic buckets on each side; 0: raw offsets. */
  readonly positionBuckets: number;
  /** The bound that clips offsets if there are no buckets. */
  readonly maxRelativePositions: number;
  readonly posAttType: readonly ("c2p" | "p2c")[];
  /** Whether positions share key_proj and query_proj instead of having their own projections. */
  readonly shareAttKey: boolean;
  readonly normRelEmbeddings: boolean;
  /** Kernel width of the convolution beside the first layer (v2-xlarge); 0: none. */
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
