import type { Sink } from "../autograd.ts";
import type { Buffer } from "../backend.ts";
import { errors } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Dropout } from "../kernels/elementwise.ts";
import type { Tensor } from "../tensor.ts";

/** The factors of an adapter: A [r, in]; E [r, 1], absent for LoRA; B [cols, r]. */
export interface LowRankFactors {
  readonly a: Tensor;
  readonly e: Tensor | undefined;
  readonly b: Tensor;
}

/** Settings of the low-rank path. */
export interface LowRankAttrs {
  /** Factor of the increment; 1 by default. */
  readonly scale?: number;
  /** On the path's input. */
  readonly dropout?: Dropout | undefined;
}

/** The sinks of the path's inputs. */
interface LowRankSinks {
  readonly a: Sink;
  readonly e: Sink;
  readonly b: Sink;
}

/** Throws unless A and E fit x [N, in]. */
export function checkFactors(
  op: string,
  x: Tensor,
  { a, e }: Pick<LowRankFactors, "a" | "e">,
): void {
  const [rank] = a.shape;
  if (a.shape[1] !== x.shape[1]) throw errors.shape(op, "A must be [r, in]", { x, A: a });
  if (e && e.shape[0] !== rank) throw errors.shape(op, "E must be [r, 1]", { A: a, E: e });
}

/** h = dropout(x) A^T, [N, r]. */
export function projectDown(
  pass: ForwardPass,
  x: Tensor,
  a: Tensor,
  { dropout }: LowRankAttrs,
): Buffer {
  const [rows, inputs] = [x.shape[0]!, x.shape[1]!];
  const rank = a.shape[0] ?? 0;
  const h = pass.allocateMaster(rows * rank);
  const input = dropout ? droppedInput(pass, x, dropout) : x.buffer;
  pass.backend.gemm(input, a.buffer, h, { m: rows, n: rank, k: inputs, transB: true });
  return h;
}

/** The increment scale * h diag(E) B^T, without its factor B. */
export function incrementOf(
  h: Buffer,
  { a, e }: Pick<LowRankFactors, "a" | "e">,
  { scale = 1 }: LowRankAttrs,
) {
  return { h, e: e?.buffer, scale, transposed: true, rank: a.shape[0] ?? 0 };
}

/**
 * Adds the gradients of A, E, B and, unless `dx` is undefined, of x [N, in]. dy [N, cols]: gradient
 * of the increment, its rows `stride` apart; dx: holds a gradient or zeros.
 */
export function lowRankBackward(
  pass: ForwardPass,
  { dy, stride, dx }: { dy: Buffer; stride: number; dx: Buffer | undefined },
  { x, h, a, e, b }: LowRankFactors & { readonly x: Tensor; readonly h: Buffer },
  sinks: LowRankSinks,
  attrs: LowRankAttrs,
): void {
  const { backend } = pass;
  const [rows, inputs, cols] = [x.shape[0]!, x.shape[1]!, b.shape[0]!];
  const increment = incrementOf(h, { a, e }, attrs);
  const { rank, scale } = increment;
  if (sinks.b.needed) {
    const gradient = sinks.b.accumulateZeroed();
    backend.addFactorGradient(dy, increment, gradient, { rows, cols, stride });
  }
  const dscaled = pass.allocateMaster(rows * rank); // gradient of h diag(E) * scale
  backend.gemm(dy, b.buffer, dscaled, { m: rows, n: rank, k: cols, lda: stride });
  if (e && sinks.e.needed)
    backend.addColumnDots(dscaled, h, scale, sinks.e.accumulateZeroed(), rows, rank);
  const shape = { rows, cols: inputs };
  const inputIncrement = { ...increment, h: dscaled, transposed: false };
  const { dropout } = attrs;
  if (sinks.a.needed) {
    const input = dropout ? droppedInput(pass, x, dropout) : x.buffer;
    backend.addFactorGradient(input, inputIncrement, sinks.a.accumulateZeroed(), shape);
  }
  if (!dx) return;
  const dinput = dropout ? pass.allocate(rows * inputs) : dx;
  if (dropout) backend.zero(dinput);
  backend.addLowRank(dinput, { ...inputIncrement, factor: a.buffer }, undefined, shape);
  if (!dropout) return;
  backend.dropout(dinput, dinput, rows, inputs, dropout);
  backend.add(dx, dinput);
}

// --- internal ---

function droppedInput(pass: ForwardPass, x: Tensor, dropout: Dropout): Buffer {
  const [rows, cols] = [x.shape[0]!, x.shape[1]!];
  const out = pass.allocate(rows * cols);
  pass.backend.dropout(x.buffer, out, rows, cols, dropout);
  return out;
}
