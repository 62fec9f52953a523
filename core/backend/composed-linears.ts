import type { Backend, Buffer } from "../backend.ts";
import { invariant } from "../errors.ts";
import type { Dropout } from "../kernels/elementwise.ts";
import type {
  Accumulator,
  LinearBackward,
  LinearForward,
  LinearIncrement,
  LinearIncrementBackward,
  LinearKernels,
  LinearsShape,
} from "../kernels/linears.ts";
import { columnsOf, wholeOf } from "./increments.ts";

/**
 * Groups of linear layers made of a backend's other entries, member by member: forward in order,
 * backward in reverse. A backend's table takes them by `...composedLinears`, unless it has kernels
 * of its own. They call the other entries through `this`, so that a table that copies or wraps them
 * computes with its own entries.
 *
 * Intermediate buffers live only while they are needed: one member's at a time.
 */
export const composedLinears: LinearKernels = {
  linears(this: Backend, x, members, shape) {
    for (const member of members) forward(this, x, member, shape);
  },

  linearsBackward(this: Backend, x, members, dx, shape) {
    let target = dx;
    for (const member of members.toReversed()) {
      backward(this, x, member, target, shape);
      target = dx && { ...dx, beta: 1 };
    }
  },
};

// --- internal ---

function forward(
  backend: Backend,
  x: Buffer,
  member: LinearForward,
  { rows, inputs }: LinearsShape,
): void {
  const { weight, bias, outputs, increments, activation, z, y } = member;
  backend.gemm(x, weight, z, { m: rows, n: outputs, k: inputs, transB: true });
  const whole = wholeOf(member);
  if (whole) {
    projectDown(backend, x, whole, { rows, inputs });
    const activated = activation && { kind: activation, buffer: y };
    backend.addLowRank(z, productOf(whole), bias, { rows, cols: outputs }, activated);
    return;
  }
  if (bias) backend.addBias(z, bias, rows, outputs);
  for (const increment of increments) {
    projectDown(backend, x, increment, { rows, inputs });
    const columns = columnsOf(backend, z, increment, { rows, outputs });
    const shape = { rows, cols: increment.cols, stride: outputs };
    backend.addLowRank(columns, productOf(increment), undefined, shape);
  }
  if (activation) backend.activate(activation, z, y);
}

/** h = dropout(x) A^T. */
function projectDown(
  backend: Backend,
  x: Buffer,
  { a, rank, dropout, h }: LinearIncrement,
  { rows, inputs }: LinearsShape,
): void {
  withDropped(backend, x, dropout, { rows, inputs }, (input) =>
    backend.gemm(input, a, h, { m: rows, n: rank, k: inputs, transB: true }),
  );
}

const productOf = ({ h, e, b, scale, rank }: LinearIncrement) =>
  ({ h, e, scale, factor: b, transposed: true, rank }) as const;

/**
 * dx gets the frozen product before the increment of a whole layer, but after those of a fused
 * layer's parts: swapping either would change a run's bits.
 */
function backward(
  backend: Backend,
  x: Buffer | undefined,
  member: LinearBackward,
  dx: Accumulator | undefined,
  shape: LinearsShape,
): void {
  const { outputs, increments, activation, z, dy, dz } = member;
  if (activation) {
    invariant(z, "an activation's gradient needs z");
    backend.activationBackward(activation, z, dy, dz);
  }
  const whole = wholeOf(member);
  if (whole || increments.length === 0) {
    baseBackward(backend, x, member, dx, shape);
    if (whole) incrementBackward(backend, x, { dz, stride: outputs }, whole, dx?.buffer, shape);
    return;
  }
  if (dx?.beta === 0) backend.zero(dx.buffer);
  for (const increment of increments.toReversed()) {
    const columns = columnsOf(backend, dz, increment, { rows: shape.rows, outputs });
    const gradient = { dz: columns, stride: outputs };
    incrementBackward(backend, x, gradient, increment, dx?.buffer, shape);
  }
  baseBackward(backend, x, member, dx && { ...dx, beta: 1 }, shape);
}

/** Gradients of bias and W, and through W. */
function baseBackward(
  backend: Backend,
  x: Buffer | undefined,
  { weight, outputs, dz, dweight, dbias }: LinearBackward,
  dx: Accumulator | undefined,
  { rows, inputs }: LinearsShape,
): void {
  if (dbias) backend.addColumnSums(dz, dbias, rows, outputs);
  if (dweight) {
    invariant(x, "the gradient of W needs x");
    backend.gemm(dz, x, dweight, { m: outputs, n: inputs, k: rows, transA: true, beta: 1 });
  }
  if (!dx) return;
  backend.gemm(dz, weight, dx.buffer, { m: rows, n: inputs, k: outputs, beta: dx.beta });
}

/** Adds the gradients of B, E, A, and of x to dx. dz [rows, cols], its rows `stride` apart. */
function incrementBackward(
  backend: Backend,
  x: Buffer | undefined,
  { dz, stride }: { dz: Buffer; stride: number },
  increment: LinearIncrementBackward,
  dx: Buffer | undefined,
  { rows, inputs }: LinearsShape,
): void {
  const { a, e, b, h, scale, rank, cols, dropout, da, de, db } = increment;
  if (db) backend.addFactorGradient(dz, productOf(increment), db, { rows, cols, stride });
  withTemporary(backend, backend.master, rows * rank, (dscaled) => {
    // dscaled: gradient of scale * h diag(E)
    backend.gemm(dz, b, dscaled, { m: rows, n: rank, k: cols, lda: stride });
    if (de) backend.addColumnDots(dscaled, h, scale, de, rows, rank);
    const back = { h: dscaled, e, scale, transposed: false, rank };
    const shape = { rows, cols: inputs };
    if (da) {
      invariant(x, "the gradient of A needs x");
      withDropped(backend, x, dropout, { rows, inputs }, (input) =>
        backend.addFactorGradient(input, back, da, shape),
      );
    }
    if (!dx) return;
    const product = { ...back, factor: a };
    if (!dropout) return backend.addLowRank(dx, product, undefined, shape);
    withTemporary(backend, backend.activation, rows * inputs, (dinput) => {
      backend.zero(dinput);
      backend.addLowRank(dinput, product, undefined, shape);
      backend.dropout(dinput, dinput, rows, inputs, dropout);
      backend.add(dx, dinput);
    });
  });
}

/** Calls `use` with dropout(x), or with x itself where nothing is dropped. */
function withDropped(
  backend: Backend,
  x: Buffer,
  dropout: Dropout | undefined,
  { rows, inputs }: LinearsShape,
  use: (input: Buffer) => void,
): void {
  if (!dropout) return use(x);
  withTemporary(backend, backend.activation, rows * inputs, (dropped) => {
    backend.dropout(x, dropped, rows, inputs, dropout);
    use(dropped);
  });
}

/** Calls `use` with a buffer, which it frees whether or not `use` throws. */
function withTemporary(
  backend: Backend,
  dtype: Buffer["dtype"],
  length: number,
  use: (buffer: Buffer) => void,
): void {
  const buffer = backend.alloc(dtype, length);
  try {
    use(buffer);
  } finally {
    backend.free(buffer);
  }
}
