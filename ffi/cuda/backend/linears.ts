import type { Backend, Buffer } from "../../../core/backend.ts";
import { columnsOf, wholeOf } from "../../../core/backend/increments.ts";
import { invariant } from "../../../core/errors.ts";
import type {
  Accumulator,
  LinearBackward,
  LinearForward,
  LinearIncrementBackward,
  LinearKernels,
  LinearsShape,
} from "../../../core/kernels/linears.ts";
import type { Launcher } from "../launcher.ts";
import { addGradients, addToEach, addToOne, type FactorGradient, project } from "./low-rank.ts";
import type { Products } from "./products.ts";

/**
 * Groups of linear layers: a product a member with its matrix, and one launch for each step of all
 * adapters of the group. Other entries are called through `this`, as in `composedLinears`.
 */
export function linearsKernels(launcher: Launcher, products: Products): LinearKernels {
  return {
    linears(this: Backend, x, members, shape) {
      for (const member of members) multiply(products, x, member, shape);
      addIncrements(launcher, this, x, members, shape);
      for (const member of members)
        if (member.activation && !wholeOf(member))
          this.activate(member.activation, member.z, member.y);
    },

    linearsBackward(this: Backend, x, members, dx, shape) {
      for (const { activation, z, dy, dz } of members) {
        if (!activation) continue;
        invariant(z, "an activation's gradient needs z");
        this.activationBackward(activation, z, dy, dz);
      }
      for (const member of members) addWeightGradients(this, products, x, member, shape);
      multiplyBack(products, members, dx, shape);
      incrementsBackward(launcher, this, x, members, dx?.buffer, shape);
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
  launcher: Launcher,
  backend: Backend,
  x: Buffer,
  members: readonly LinearForward[],
  { rows, inputs }: LinearsShape,
): void {
  if (rows === 0) return;
  const pairs = members.flatMap((member) => {
    const { outputs, z, y, bias, activation } = member;
    const whole = wholeOf(member) && {
      bias,
      activated: activation && { kind: activation, buffer: y },
    };
    return member.increments.map((increment) => {
      const columns = columnsOf(backend, z, increment, { rows, outputs });
      const { h, e, scale, b, rank, cols } = increment;
      return {
        to: { y: columns, cols, stride: outputs, ...whole },
        increment: { h, e, scale, factor: b, rank },
      };
    });
  });
  const products = members.flatMap(({ increments }) =>
    increments.map(({ h, a, rank, dropout }) => {
      const matrices = { h, x, cols: inputs, stride: inputs, factor: a };
      return { ...matrices, rank, dropout };
    }),
  );
  project(launcher, products, rows, false);
  addToEach(launcher, pairs, { rows, transposed: true });
}

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
  launcher: Launcher,
  backend: Backend,
  x: Buffer | undefined,
  members: readonly LinearBackward[],
  dx: Buffer | undefined,
  { rows, inputs }: LinearsShape,
): void {
  const ranks = members.flatMap(({ increments }) => increments.map(({ rank }) => rank));
  const length = ranks.reduce((sum, rank) => sum + rows * rank, 0);
  if (length === 0) return;
  const space = backend.alloc(backend.master, length);
  try {
    let first = 0;
    const gradients = members.flatMap(({ increments, outputs, dz }) =>
      increments.map((increment): Gradient => {
        const columns = columnsOf(backend, dz, increment, { rows, outputs });
        const dscaled = backend.view(space, first, rows * increment.rank);
        first += dscaled.length;
        return { increment, dz: columns, stride: outputs, dscaled };
      }),
    );
    projectBack(launcher, gradients, rows);
    addFactorGradients(launcher, backend, x, gradients, { rows, inputs });
    if (!dx) return;
    const increments = gradients.map(({ increment: { e, scale, a, rank, dropout }, dscaled }) => {
      return { h: dscaled, e, scale, factor: a, rank, dropout };
    });
    const to = { y: dx, cols: inputs, stride: inputs };
    addToOne(launcher, to, increments, { rows, transposed: false });
  } finally {
    backend.free(space);
  }
}

/** dscaled = dz B. */
function projectBack(launcher: Launcher, gradients: readonly Gradient[], rows: number): void {
  const products = gradients.map(({ increment: { b, rank, cols }, dz, stride, dscaled }) => {
    return { h: dscaled, x: dz, cols, stride, factor: b, rank, dropout: undefined };
  });
  project(launcher, products, rows, true);
}

/** dB = (scale h diag(E))^T dz, dA = (scale dscaled diag(E))^T dropout(x), and dE. */
function addFactorGradients(
  launcher: Launcher,
  backend: Backend,
  x: Buffer | undefined,
  gradients: readonly Gradient[],
  { rows, inputs }: LinearsShape,
): void {
  const all = gradients.flatMap(({ increment, dz, stride, dscaled }) => {
    const { h, e, scale, rank, cols, dropout, da, de, db } = increment;
    const triplets = { e, scale, rank };
    const list: FactorGradient[] = [];
    if (db) {
      const matrices = { gradient: db, transposed: true, left: h, right: dz };
      list.push({ ...triplets, ...matrices, cols, stride });
    }
    if (da) {
      invariant(x, "the gradient of A needs x");
      const matrices = { gradient: da, transposed: false, left: dscaled, right: x };
      const dots = de && { other: h, dots: de };
      list.push({ ...triplets, ...matrices, cols: inputs, stride: inputs, dropout, dots });
    } else if (de) backend.addColumnDots(dscaled, h, scale, de, rows, rank);
    return list;
  });
  addGradients(launcher, all, rows);
}
