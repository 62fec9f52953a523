import type { Buffer } from "./memory.ts";

/** Root mean square normalisation (Zhang and Sennrich, 2019). */
export interface RmsNormKernels {
  /**
   * y = x * rstd * weight with rstd = 1 / sqrt(mean(x^2) + eps) per row. Sets y, which may be x,
   * and rstd [rows]. weight [cols] and rstd are in the master dtype.
   */
  rmsNorm(
    x: Buffer,
    weight: Buffer,
    out: { y: Buffer; rstd: Buffer },
    shape: { rows: number; cols: number; eps: number },
  ): void;
  /** Sets dx [rows, cols], which may be dy; adds to dweight where given. */
  rmsNormBackward(
    dy: Buffer,
    x: Buffer,
    weight: Buffer,
    rstd: Buffer,
    out: { dx: Buffer; dweight: Buffer | undefined },
    shape: { rows: number; cols: number },
  ): void;
}
