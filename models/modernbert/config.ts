import type { ActivationKind } from "../../core/kit/kit.ts";

/** The kinds of layers: attention to all tokens, or to those in a window. */
export type LayerType = "full_attention" | "sliding_attention";

/** The architecture of a ModernBERT checkpoint. */
export interface ModernBertConfig {
  readonly vocabSize: number;
  readonly padId: number;
  readonly hiddenSize: number;
  readonly heads: number;
  readonly ffnSize: number;
  readonly activation: ActivationKind;
  readonly maxPositions: number;
  readonly normEps: number;
  readonly initializerRange: number;
  readonly layerTypes: readonly LayerType[];
  /** Base of the rotary frequencies of each kind of layer. */
  readonly theta: Readonly<Record<LayerType, number>>;
  /** A token of a windowed layer attends to as many tokens on each side. */
  readonly window: number;
  /** Which modules have a bias. */
  readonly bias: {
    readonly norm: boolean;
    readonly attention: boolean;
    readonly mlp: boolean;
    readonly head: boolean;
  };
  /** What a sequence's head reads: its first token, or the mean of all. */
  readonly pooling: "cls" | "mean";
  readonly headActivation: ActivationKind;
  readonly dropout: {
    readonly embedding: number;
    /** Of attention weights, and of attention's result. */
    readonly attention: number;
    readonly mlp: number;
    readonly head: number;
  };
}
