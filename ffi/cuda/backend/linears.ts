import type { Backend, Buffer } from "../../../core/backend.ts";
import { columnsOf, wholeOf } from "../../../core/backend/increments.ts";
import type { LinearForward, LinearKernels, LinearsShape } from "../../../core/kernels/linears.ts";
import type { GroupedIncrement, IncrementTarget } from "./increments.ts";
import { linearsBackward } from "./linears-backward.ts";
import type { LowRank } from "./low-rank.ts";
import type { Products } from "./products.ts";
import type { Projection } from "./projections.ts";

/**
 * Groups of linear layers: a product a member with its matrix, and one launch for each step of all
 * adapters of the group. Other entries are called through `this`, as in `composedLinears`.
 */
export function linearsKernels(lowRank: LowRank, products: Products): LinearKernels {
  return {
    linears(this: Backend, x, members, shape) {
      for (const member of members) multiply(products, x, member, shape);
      addIncrements(lowRank, this, x, members, shape);
      for (const member of members)
        if (member.activation && !wholeOf(member))
          this.activate(member.activation, member.z, member.y);
    },

    linearsBackward(this: Backend, x, members, dx, shape) {
      linearsBackward({ backend: this, lowRank, products }, x, members, dx, shape);
    },
  };
}

// --- internal ---

/** z = x W^T, and the bias unless the increment's kernel adds it. */
function multiply(
  products: Products,
  x: Buffer,
  member: LinearForward,
  { rows, inputs }: LinearsShape,
): void {
  const { weight, bias, outputs, z } = member;
  const shape = { m: rows, n: outputs, k: inputs, transB: true };
  products.multiply(x, weight, z, shape, wholeOf(member) ? undefined : bias);
}

/** h = dropout(x) A^T of all increments, then z += scale * h diag(E) B^T. */
function addIncrements(
  lowRank: LowRank,
  backend: Backend,
  x: Buffer,
  members: readonly LinearForward[],
  { rows, inputs }: LinearsShape,
): void {
  if (rows === 0) return;
  const products: Projection[] = [];
  const targets: IncrementTarget[] = [];
  const added: GroupedIncrement[] = [];
  for (const member of members) {
    const { outputs, z, y, bias, activation } = member;
    const isWhole = wholeOf(member) !== undefined;
    for (const increment of member.increments) {
      const { a, b, e, h, scale, rank, cols, dropout } = increment;
      products.push({ h, x, cols: inputs, stride: inputs, factor: a, rank, dropout });
      targets.push({
        y: columnsOf(backend, z, increment, { rows, outputs }),
        cols,
        stride: outputs,
        bias: isWhole ? bias : undefined,
        activated: isWhole && activation ? { kind: activation, buffer: y } : undefined,
      });
      added.push({ h, e, scale, factor: b, rank });
    }
  }
  lowRank.project(products, rows, false);
  lowRank.addIncrements.toEach(targets, added, { rows, transposed: true });
}
