import type { Dropout } from "./elementwise.ts";
import type { Buffer } from "./memory.ts";

/** LayerNorm fused with the residual connection and dropout before it. */
export interface LayerNormKernels {
  /**
   * x := residual + dropout(x) in place (either may be absent), then
   * y = (x - mean) * rstd * weight + bias per row; an absent bias is 0. Sets y, mean [rows] and
   * rstd [rows].
   */
  addLayerNorm(
    x: Buffer,
    residual: Buffer | undefined,
    weight: Buffer,
    bias: Buffer | undefined,
    out: { y: Buffer; mean: Buffer; rstd: Buffer },
    shape: { rows: number; cols: number; eps: number; dropout: Dropout | undefined },
  ): void;
  /**
   * `x` is the sum that the forward pass left. Sets dsum [rows, cols], which may be dy; sets dx =
   * mask * dsum where dropout was on; adds to dweight and dbias where given.
   */
  addLayerNormBackward(
    dy: Buffer,
    x: Buffer,
    weight: Buffer,
    stats: { mean: Buffer; rstd: Buffer },
    out: {
      dsum: Buffer;
      dx: Buffer | undefined;
      dweight: Buffer | undefined;
      dbias: Buffer | undefined;
    },
    shape: { rows: number; cols: number; dropout: Dropout | undefined },
  ): void;
}
