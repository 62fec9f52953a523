import { Parameter } from "../tensor.ts";

/**
 * A low-rank increment of one linear layer: scale * B diag(E) A (paper eq. 3), or scale * B A
 * without E (LoRA). A: [r, in]; E: [r, 1]; B: [out, r]. The scale stays constant through pruning:
 * adapting it to the current rank hurts.
 */
export interface Adapter {
  /** Dotted path of the adapted module. */
  readonly path: string;
  /** Set if the module is a part of a fused layer. */
  readonly range: OutputRange | undefined;
  readonly rank: number;
  readonly a: Parameter;
  readonly e: Parameter | undefined;
  readonly b: Parameter;
  readonly scale: number;
  /** Dropout probability of the low-rank path's input. */
  readonly dropout: number;
}

/** Outputs of a fused linear layer (rows of its weight) that one adapter covers. */
export interface OutputRange {
  /** The fused layer. */
  readonly layer: { readonly path: string; readonly outFeatures: number };
  /** The first output. */
  readonly start: number;
}

/** The settings of an adapter. */
export interface AdapterOptions {
  readonly rank: number;
  readonly scale: number;
  /** With a diagonal E (AdaLoRA, SVD-LoRA) or without (LoRA). */
  readonly svd: boolean;
  readonly dropout?: number;
}

/**
 * The scale of an increment: loralib divides alpha by ranknum + 1e-5 in SVDLinear, by r in Linear.
 */
export function adapterScale(alpha: number, initialRank: number, svd: boolean): number {
  return svd ? alpha / (initialRank + 1e-5) : alpha / initialRank;
}

/** Declares an adapter's parameters, without values, under the names of PEFT and loralib. */
export function declareAdapter(
  path: string,
  {
    inFeatures,
    outFeatures,
    range,
  }: { inFeatures: number; outFeatures: number; range?: OutputRange },
  { rank, scale, svd, dropout = 0 }: AdapterOptions,
): Adapter {
  return {
    path,
    range,
    rank,
    a: new Parameter(`${path}.lora_A`, [rank, inFeatures]),
    e: svd ? new Parameter(`${path}.lora_E`, [rank, 1]) : undefined,
    b: new Parameter(`${path}.lora_B`, [outFeatures, rank]),
    scale,
    dropout,
  };
}

/** The adapter's parameters in a fixed order. */
export function adapterParameters({ a, e, b }: Adapter): Parameter[] {
  return e ? [a, e, b] : [a, b];
}
