import type { Backend, Buffer } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";
import type { ActivationKind, Dropout } from "../../../core/kernels/elementwise.ts";
import type { LowRankProduct, StridedShape } from "../../../core/kernels/matrix.ts";
import { elements, floats, optionalFloats, optionalTarget, target, typeOf } from "../buffer.ts";
import { type Arg, blocksOf, each, f32, GROUP, i32, inGroups, type Launcher } from "../launcher.ts";
import { eachDropout } from "./dropout.ts";
import { ACTIVATIONS } from "./elementwise.ts";

/** Sizes of kernels/triplets.h: rows, columns and triplets of a tile, threads of a block. */
const [ROWS, COLUMNS, RANKS, BLOCK] = [32, 128, 16, 256];

/** A gradient is summed in parts: the fewest rows of a part, and the most parts. */
const [PART_ROWS, MOST_PARTS] = [128, 32];

/** PART_FLOATS of kernels/factor-gradients.h. */
const PART_FLOATS = RANKS * COLUMNS + RANKS;

/** A product h = dropout(x) factor^T. */
export interface Projection {
  /** [rows, rank] of master values, set. */
  readonly h: Buffer;
  /** [rows, cols], its rows `stride` elements apart. */
  readonly x: Buffer;
  readonly cols: number;
  readonly stride: number;
  /** [rank, cols], or [cols, rank] when transposed. */
  readonly factor: Buffer;
  readonly rank: number;
  readonly dropout: Dropout | undefined;
}

/** Where increments are added. */
export interface IncrementTarget {
  /** [rows, cols], its rows `stride` elements apart. */
  readonly y: Buffer;
  readonly cols: number;
  readonly stride: number;
  readonly bias?: Buffer | undefined;
  /** Set to f(y); needs packed rows; may be y. */
  readonly activated?: { readonly kind: ActivationKind; readonly buffer: Buffer } | undefined;
}

/** An increment dropout(scale * h diag(e) factor). */
export type GroupedIncrement = Omit<LowRankProduct, "transposed"> & {
  readonly dropout?: Dropout | undefined;
};

/** A gradient of a factor, scale * diag(e) left^T dropout(right), and of e itself. */
export interface FactorGradient {
  /** [rank, cols], or [cols, rank] if `transposed`; added to. */
  readonly gradient: Buffer;
  readonly transposed: boolean;
  /** [rows, rank] */
  readonly left: Buffer;
  /** [rows, cols], its rows `stride` elements apart. */
  readonly right: Buffer;
  readonly cols: number;
  readonly stride: number;
  readonly e: Buffer | undefined;
  readonly scale: number;
  readonly rank: number;
  readonly dropout?: Dropout | undefined;
  /** dots [rank] += scale * sum over rows of left * other, both [rows, rank]. */
  readonly dots?: { readonly other: Buffer; readonly dots: Buffer } | undefined;
}

/** Elements from a strided matrix's first to its last. */
const stored = (rows: number, { cols, stride }: { cols: number; stride: number }) =>
  rows === 0 || cols === 0 ? 0 : (rows - 1) * stride + cols;

const largest = (sizes: readonly number[]) => Math.max(0, ...sizes);

/** kernels/projections.cu: sets h of each product. */
export function project(
  launcher: Launcher,
  products: readonly Projection[],
  rows: number,
  transposed: boolean,
): void {
  inGroups(products, (group) => {
    const type = typeOf(group[0]!.x);
    const ranks = largest(group.map(({ rank }) => rank));
    const grid = [blocksOf(rows, ROWS), blocksOf(ranks, RANKS), group.length] as const;
    launcher.launch(`project_${type}`, grid, BLOCK, 0, [
      each(group, ({ h, rank }) => target(h, rows * rank)),
      each(group, (own) => elements(own.x, stored(rows, own), type)),
      each(group, ({ stride }) => i32(stride)),
      each(group, ({ factor, rank, cols }) => floats(factor, rank * cols)),
      each(group, ({ cols }) => i32(cols)),
      each(group, ({ rank }) => i32(rank)),
      i32(Number(transposed)),
      i32(rows),
      ...eachDropout(group),
    ]);
  });
}

/** kernels/low-rank.cu: adds to each target its increment, at most GROUP of them. */
function addIncrements(
  launcher: Launcher,
  targets: readonly IncrementTarget[],
  increments: readonly GroupedIncrement[],
  { rows, transposed }: { rows: number; transposed: boolean },
): void {
  const [first] = targets;
  invariant(first !== undefined && increments.length <= GROUP, "increments fit into a launch");
  const type = typeOf(first.y);
  const { cols } = first;
  const tiles = blocksOf(largest(targets.map((to) => to.cols)), COLUMNS);
  const grid = [tiles, blocksOf(rows, ROWS), targets.length] as const;
  const own = targets.length > 1 ? targets.map((to) => to.cols) : increments.map(() => cols);
  launcher.launch(`add_low_rank_${type}`, grid, BLOCK, 0, [
    each(targets, (to) => target(to.y, stored(rows, to), type)),
    each(targets, (to) => i32(to.cols)),
    each(targets, (to) => i32(to.stride)),
    each(targets, (to) => optionalFloats(to.bias, to.cols)),
    each(targets, (to) => optionalTarget(to.activated?.buffer, rows * to.cols, type)),
    each(targets, (to) => i32(to.activated ? ACTIVATIONS[to.activated.kind] : 0)),
    i32(rows),
    i32(targets.length > 1 ? 1 : increments.length),
    each(increments, ({ h, rank }) => floats(h, rows * rank)),
    each(
      increments.map((increment, i) => ({ increment, width: own[i] ?? 0 })),
      ({ increment, width }) => floats(increment.factor, width * increment.rank),
    ),
    each(increments, ({ e, rank }) => optionalFloats(e, rank)),
    each(increments, ({ scale }) => f32(scale)),
    each(increments, ({ rank }) => i32(rank)),
    i32(Number(transposed)),
    ...eachDropout(increments),
  ]);
}

/** Adds to each target the increment with it. */
export function addToEach(
  launcher: Launcher,
  pairs: readonly { readonly to: IncrementTarget; readonly increment: GroupedIncrement }[],
  shape: { rows: number; transposed: boolean },
): void {
  inGroups(pairs, (group) =>
    addIncrements(
      launcher,
      group.map(({ to }) => to),
      group.map(({ increment }) => increment),
      shape,
    ),
  );
}

/** Adds all increments to one target, each with its dropout. */
export function addToOne(
  launcher: Launcher,
  to: IncrementTarget,
  increments: readonly GroupedIncrement[],
  shape: { rows: number; transposed: boolean },
): void {
  inGroups(increments, (group) => addIncrements(launcher, [to], group, shape));
}

/** Tiles of a gradient. */
const tilesOf = ({ rank, cols }: FactorGradient) => blocksOf(rank, RANKS) * blocksOf(cols, COLUMNS);

/** kernels/factor-gradients.cu: adds each gradient. */
export function addGradients(
  launcher: Launcher,
  gradients: readonly FactorGradient[],
  rows: number,
): void {
  inGroups(gradients, (group) => {
    const type = typeOf(group[0]!.right);
    const partRows = Math.max(PART_ROWS, blocksOf(rows, MOST_PARTS));
    const parts = blocksOf(rows, partRows);
    let tiles = 0;
    const ends = group.map((own) => (tiles += tilesOf(own)));
    const shared: Arg[] =
      parts > 1
        ? [launcher.scratch(tiles * parts * PART_FLOATS), launcher.counters(tiles)]
        : [undefined, undefined];
    launcher.launch(`add_factor_gradients_${type}`, [tiles, parts], BLOCK, 0, [
      each(group, ({ gradient, rank, cols }) => target(gradient, rank * cols)),
      each(group, ({ left, rank }) => floats(left, rows * rank)),
      each(group, (own) => elements(own.right, stored(rows, own), type)),
      each(group, ({ stride }) => i32(stride)),
      each(group, ({ e, rank }) => optionalFloats(e, rank)),
      each(group, ({ scale }) => f32(scale)),
      each(group, ({ rank }) => i32(rank)),
      each(group, ({ cols }) => i32(cols)),
      each(group, ({ transposed }) => i32(Number(transposed))),
      each(group, ({ dots, rank }) => optionalFloats(dots?.other, rows * rank)),
      each(group, ({ dots, rank }) => optionalTarget(dots?.dots, rank)),
      each(ends, (end) => i32(end)),
      i32(rows),
      i32(partRows),
      ...shared,
      ...eachDropout(group),
    ]);
  });
}

const strided = ({ cols, stride = cols }: StridedShape) => ({ cols, stride });

/** A single increment or gradient. */
export const lowRankKernels = (
  launcher: Launcher,
): Pick<Backend, "addLowRank" | "addFactorGradient"> => ({
  addLowRank(y, increment, bias, shape, activated) {
    const to = { y, ...strided(shape), bias, activated };
    const { transposed } = increment;
    addToOne(launcher, to, [increment], { rows: shape.rows, transposed });
  },
  addFactorGradient(dy, { h, e, scale, transposed, rank }, gradient, shape) {
    const matrices = { gradient, transposed, left: h, right: dy, ...strided(shape) };
    addGradients(launcher, [{ ...matrices, e, scale, rank }], shape.rows);
  },
});
