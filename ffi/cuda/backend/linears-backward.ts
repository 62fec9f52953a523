import type { Backend, Buffer } from "../../../core/backend.ts";
import { columnsOf } from "../../../core/backend/increments.ts";
import { invariant } from "../../../core/errors.ts";
import type {
  Accumulator,
  LinearBackward,
  LinearIncrementBackward,
  LinearsShape,
} from "../../../core/kernels/linears.ts";
import type { FactorGradient } from "./factor-gradients.ts";
import type { GroupedIncrement } from "./increments.ts";
import type { LowRank } from "./low-rank.ts";
import type { Products } from "./products.ts";
import type { Projection } from "./projections.ts";

/** What computes the gradients; other entries are called through `backend`. */
interface Kernels {
  readonly backend: Backend;
  readonly lowRank: LowRank;
  readonly products: Products;
}

/** The gradients of a group of linear layers: `linearsBackward` of the backend. */
export function linearsBackward(
  { backend, lowRank, products }: Kernels,
  x: Buffer | undefined,
  members: readonly LinearBackward[],
  dx: Accumulator | undefined,
  shape: LinearsShape,
): void {
  for (const { activation, z, dy, dz } of members) {
    if (!activation) continue;
    invariant(z, "an activation's gradient needs z");
    backend.activationBackward(activation, z, dy, dz);
  }
  for (const member of members) addWeightGradients(backend, products, x, member, shape);
  multiplyBack(products, members, dx, shape);
  incrementsBackward(lowRank, backend, x, members, dx?.buffer, shape);
}

// --- internal ---

/** Gradients of bias and W. */
function addWeightGradients(
  backend: Backend,
  products: Products,
  x: Buffer | undefined,
  { outputs, dz, dweight, dbias }: LinearBackward,
  { rows, inputs }: LinearsShape,
): void {
  if (dbias) backend.addColumnSums(dz, dbias, rows, outputs);
  if (!dweight) return;
  invariant(x, "the gradient of W needs x");
  products.multiply(dz, x, dweight, { m: outputs, n: inputs, k: rows, transA: true, beta: 1 });
}

/** dx = the sum of dz W over all members, or adds it. */
function multiplyBack(
  products: Products,
  members: readonly LinearBackward[],
  dx: Accumulator | undefined,
  { rows, inputs }: LinearsShape,
): void {
  if (!dx) return;
  let { beta } = dx;
  for (const { dz, weight, outputs } of members) {
    products.multiply(dz, weight, dx.buffer, { m: rows, n: inputs, k: outputs, beta });
    beta = 1;
  }
}

/** An increment in backward with the gradient of its columns. */
interface Gradient {
  readonly increment: LinearIncrementBackward;
  /** [rows, cols], its rows `stride` elements apart. */
  readonly dz: Buffer;
  readonly stride: number;
  /** [rows, rank]: the gradient of scale * h diag(E). */
  readonly dscaled: Buffer;
}

/** Adds the gradients of all B, A and E, then those of x to dx. */
function incrementsBackward(
  lowRank: LowRank,
  backend: Backend,
  x: Buffer | undefined,
  members: readonly LinearBackward[],
  dx: Buffer | undefined,
  { rows, inputs }: LinearsShape,
): void {
  let length = 0;
  for (const { increments } of members) for (const { rank } of increments) length += rows * rank;
  if (length === 0) return;
  const space = backend.alloc(backend.master, length);
  try {
    const gradients = gradientsIn(backend, space, members, rows);
    projectBack(lowRank, gradients, rows);
    addFactorGradients(lowRank, backend, x, gradients, { rows, inputs });
    if (!dx) return;
    const added: GroupedIncrement[] = [];
    for (const { increment, dscaled } of gradients) {
      const { e, scale, a, rank, dropout } = increment;
      added.push({ h: dscaled, e, scale, factor: a, rank, dropout });
    }
    const to = { y: dx, cols: inputs, stride: inputs };
    lowRank.addIncrements.toOne(to, added, { rows, transposed: false });
  } finally {
    backend.free(space);
  }
}

/** All increments, with views of `space` for their `dscaled`. */
function gradientsIn(
  backend: Backend,
  space: Buffer,
  members: readonly LinearBackward[],
  rows: number,
): Gradient[] {
  const gradients: Gradient[] = [];
  let first = 0;
  for (const { increments, outputs, dz } of members)
    for (const increment of increments) {
      const columns = columnsOf(backend, dz, increment, { rows, outputs });
      const dscaled = backend.view(space, first, rows * increment.rank);
      gradients.push({ increment, dz: columns, stride: outputs, dscaled });
      first += dscaled.length;
    }
  return gradients;
}

/** dscaled = dz B. */
function projectBack(lowRank: LowRank, gradients: readonly Gradient[], rows: number): void {
  const products: Projection[] = [];
  for (const { increment, dz, stride, dscaled } of gradients) {
    const { b, rank, cols } = increment;
    products.push({ h: dscaled, x: dz, cols, stride, factor: b, rank, dropout: undefined });
  }
  lowRank.project(products, rows, true);
}

/** dB = (scale h diag(E))^T dz, dA = (scale dscaled diag(E))^T dropout(x), and dE. */
function addFactorGradients(
  lowRank: LowRank,
  backend: Backend,
  x: Buffer | undefined,
  gradients: readonly Gradient[],
  { rows, inputs }: LinearsShape,
): void {
  const all: FactorGradient[] = [];
  for (const { increment, dz, stride, dscaled } of gradients) {
    const { h, e, scale, rank, cols, dropout, da, de, db } = increment;
    if (db) {
      const left = h;
      all.push({ gradient: db, transposed: true, left, right: dz, cols, stride, e, scale, rank });
    }
    if (da) {
      invariant(x, "the gradient of A needs x");
      all.push({
        gradient: da,
        transposed: false,
        left: dscaled,
        right: x,
        cols: inputs,
        stride: inputs,
        e,
        scale,
        rank,
        dropout,
        dots: de && { other: h, dots: de },
      });
    } else if (de) backend.addColumnDots(dscaled, h, scale, de, rows, rank);
  }
  lowRank.addGradients(all, rows);
}
