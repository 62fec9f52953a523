import type { ActivationKind } from "./elementwise.ts";
import type { Buffer } from "./memory.ts";

/** C[m,n] = op(A) op(B) + beta C, row-major. Leading dimensions default to the packed ones. */
export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly beta?: 0 | 1;
  readonly lda?: number;
  readonly ldb?: number;
  readonly ldc?: number;
}

/** An increment scale * h diag(e) factor (paper eq. 3; its gradient has the same form). */
export interface LowRankProduct {
  /** [rows, rank] */
  readonly h: Buffer;
  /**
   * [rank]; absent: all 1, as in LoRA. Of a triplet whose e is 0, as a mask leaves it, nothing is
   * read, so NaN does not spread.
   */
  readonly e: Buffer | undefined;
  readonly scale: number;
  /** [rank, cols], or [cols, rank] when `transposed`. */
  readonly factor: Buffer;
  readonly transposed: boolean;
  readonly rank: number;
}

/** A matrix [rows, cols] whose rows are `stride` elements apart; default: cols. */
export interface StridedShape {
  readonly rows: number;
  readonly cols: number;
  readonly stride?: number;
}

/** Matrix products and the kernels that accompany them. */
export interface MatrixKernels {
  gemm(a: Buffer, b: Buffer, c: Buffer, shape: GemmShape): void;
  /**
   * y[rows, cols] += increment (+ bias). With `activated`, which needs packed rows, then sets its
   * buffer, which may be y, to f(y).
   */
  addLowRank(
    y: Buffer,
    increment: LowRankProduct,
    bias: Buffer | undefined,
    shape: StridedShape,
    activated?: { kind: ActivationKind; buffer: Buffer },
  ): void;
  /**
   * Adds the gradient of the increment's factor, given dy[rows, cols], the gradient of the
   * increment: gradient += scale * diag(e) h^T dy, or its transpose when `transposed`.
   */
  addFactorGradient(
    dy: Buffer,
    increment: Omit<LowRankProduct, "factor">,
    gradient: Buffer,
    shape: StridedShape,
  ): void;
  /** y[rows, cols] += bias[cols]. */
  addBias(y: Buffer, bias: Buffer, rows: number, cols: number): void;
  /** sum[cols] += sum over rows of x[rows, cols]. */
  addColumnSums(x: Buffer, sum: Buffer, rows: number, cols: number): void;
  /** dots[c] += factor * sum over r of x[r,c] * y[r,c]. */
  addColumnDots(
    x: Buffer,
    y: Buffer,
    factor: number,
    dots: Buffer,
    rows: number,
    cols: number,
  ): void;
}
