import type { Buffer } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";
import type { ActivationKind, Dropout } from "../../../core/kernels/elementwise.ts";
import type { LowRankProduct } from "../../../core/kernels/matrix.ts";
import { GroupedArguments } from "../arguments.ts";
import {
  floats,
  type KernelType,
  optionalFloats,
  optionalTarget,
  target,
  typeOf,
} from "../buffer.ts";
import { blocksOf, GROUP, type Launcher } from "../launcher.ts";
import { EACH_DROPOUT, writeDropout } from "./dropout.ts";
import { ACTIVATIONS } from "./elementwise.ts";
import { byType } from "./launches.ts";
import { COLUMNS, ROWS, storedLength, TILED_BLOCK } from "./triplets.ts";

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

interface IncrementsShape {
  readonly rows: number;
  /** Whether the factors are [cols, rank]. */
  readonly transposed: boolean;
}

/** Adds increments. */
export interface AddIncrements {
  /** Adds to each target, all of one type, the increment of the same index. */
  toEach(
    targets: readonly IncrementTarget[],
    increments: readonly GroupedIncrement[],
    shape: IncrementsShape,
  ): void;
  /**
   * Adds all increments to one target, each with its dropout. With a bias or an activation they are
   * at most 8, one launch's: another launch would apply these again.
   */
  toOne(
    target: IncrementTarget,
    increments: readonly GroupedIncrement[],
    shape: IncrementsShape,
  ): void;
}

const KERNELS = byType("add_low_rank");

const PARAMETERS = {
  y: "each pointer",
  cols: "each int",
  stride: "each int",
  bias: "each pointer",
  activated: "each pointer",
  kind: "each int",
  rows: "int",
  count: "int",
  h: "each pointer",
  factor: "each pointer",
  e: "each pointer",
  scale: "each float",
  rank: "each int",
  transposed: "int",
  ...EACH_DROPOUT,
} as const;

type Arguments = GroupedArguments<keyof typeof PARAMETERS>;

/** kernels/low-rank.cu */
export function openAddIncrements(launcher: Launcher): AddIncrements {
  const [ofEach, ofOne] = [new GroupedArguments(PARAMETERS), new GroupedArguments(PARAMETERS)];

  /** Adds `count` increments to each of `targets` targets of a type, of up to `cols` columns. */
  function launch(
    args: Arguments,
    type: KernelType,
    { targets, cols, count }: { targets: number; cols: number; count: number },
    { rows, transposed }: IncrementsShape,
  ): void {
    args.int(args.at.rows, 0, rows);
    args.int(args.at.count, 0, count);
    args.int(args.at.transposed, 0, Number(transposed));
    const grid = [blocksOf(cols, COLUMNS), blocksOf(rows, ROWS), targets] as const;
    launcher.launch(KERNELS[type], grid, TILED_BLOCK, 0, args);
  }

  return {
    toEach(targets, increments, shape) {
      for (let first = 0; first < targets.length; first += GROUP) {
        const count = Math.min(GROUP, targets.length - first);
        const type = typeOf(targets[first]!.y);
        let cols = 0;
        ofEach.begin(count);
        for (let i = 0; i < count; i++) {
          const to = targets[first + i]!;
          writeTarget(ofEach, i, to, shape.rows, type);
          writeIncrement(ofEach, i, increments[first + i]!, shape.rows, to.cols);
          cols = Math.max(cols, to.cols);
        }
        launch(ofEach, type, { targets: count, cols, count: 1 }, shape);
      }
    },

    toOne(to, increments, shape) {
      invariant(
        increments.length <= GROUP || (to.bias === undefined && to.activated === undefined),
        "a bias or an activation is applied in the only launch",
      );
      const type = typeOf(to.y);
      for (let first = 0; first < increments.length; first += GROUP) {
        const count = Math.min(GROUP, increments.length - first);
        ofOne.begin(count);
        writeTarget(ofOne, 0, to, shape.rows, type);
        for (let i = 0; i < count; i++)
          writeIncrement(ofOne, i, increments[first + i]!, shape.rows, to.cols);
        launch(ofOne, type, { targets: 1, cols: to.cols, count }, shape);
      }
    },
  };
}

function writeTarget(
  args: Arguments,
  i: number,
  to: IncrementTarget,
  rows: number,
  type: KernelType,
): void {
  const { at } = args;
  const { y, cols, stride, bias, activated } = to;
  args.pointer(at.y, i, target(y, storedLength(rows, cols, stride), type));
  args.int(at.cols, i, cols);
  args.int(at.stride, i, stride);
  args.pointer(at.bias, i, optionalFloats(bias, cols));
  args.pointer(at.activated, i, optionalTarget(activated?.buffer, rows * cols, type));
  args.int(at.kind, i, activated === undefined ? 0 : ACTIVATIONS[activated.kind]);
}

function writeIncrement(
  args: Arguments,
  i: number,
  { h, factor, e, scale, rank, dropout }: GroupedIncrement,
  rows: number,
  cols: number,
): void {
  const { at } = args;
  args.pointer(at.h, i, floats(h, rows * rank));
  args.pointer(at.factor, i, floats(factor, cols * rank));
  args.pointer(at.e, i, optionalFloats(e, rank));
  args.float(at.scale, i, scale);
  args.int(at.rank, i, rank);
  writeDropout(args, i, dropout);
}
