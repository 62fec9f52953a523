import type { Buffer } from "../../../core/backend.ts";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { GroupedArguments } from "../arguments.ts";
import {
  elements,
  floats,
  type KernelType,
  optionalFloats,
  optionalTarget,
  target,
  typeOf,
} from "../buffer.ts";
import { blocksOf, GROUP, type Launcher } from "../launcher.ts";
import { EACH_DROPOUT, writeDropout } from "./dropout.ts";
import { byType } from "./launches.ts";
import { COLUMNS, RANKS, storedLength, TILED_BLOCK } from "./triplets.ts";

/** A gradient is summed in parts: the fewest rows of a part, and the most parts. */
const [PART_ROWS, MOST_PARTS] = [128, 32];

/** PART_FLOATS of kernels/factor-gradients.h. */
const PART_FLOATS = RANKS * COLUMNS + RANKS;

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

/** Adds each gradient. All right operands have one type. */
export type AddGradients = (gradients: readonly FactorGradient[], rows: number) => void;

const KERNELS = byType("add_factor_gradients");

/** kernels/factor-gradients.cu */
export function openAddGradients(launcher: Launcher): AddGradients {
  const args = new GroupedArguments({
    gradient: "each pointer",
    left: "each pointer",
    right: "each pointer",
    stride: "each int",
    e: "each pointer",
    scale: "each float",
    rank: "each int",
    cols: "each int",
    transposed: "each int",
    others: "each pointer",
    dots: "each pointer",
    tiles: "each int",
    rows: "int",
    partRows: "int",
    scratch: "pointer",
    counters: "pointer",
    ...EACH_DROPOUT,
  });
  const { at } = args;

  function write(i: number, own: FactorGradient, rows: number, type: KernelType): void {
    const { gradient, left, right, stride, e, scale, rank, cols, dots } = own;
    args.pointer(at.gradient, i, target(gradient, rank * cols));
    args.pointer(at.left, i, floats(left, rows * rank));
    args.pointer(at.right, i, elements(right, storedLength(rows, cols, stride), type));
    args.int(at.stride, i, stride);
    args.pointer(at.e, i, optionalFloats(e, rank));
    args.float(at.scale, i, scale);
    args.int(at.rank, i, rank);
    args.int(at.cols, i, cols);
    args.int(at.transposed, i, Number(own.transposed));
    args.pointer(at.others, i, optionalFloats(dots?.other, rows * rank));
    args.pointer(at.dots, i, optionalTarget(dots?.dots, rank));
    writeDropout(args, i, own.dropout);
  }

  return (gradients, rows) => {
    const partRows = Math.max(PART_ROWS, blocksOf(rows, MOST_PARTS));
    const parts = blocksOf(rows, partRows);
    for (let first = 0; first < gradients.length; first += GROUP) {
      const count = Math.min(GROUP, gradients.length - first);
      const type = typeOf(gradients[first]!.right);
      let tiles = 0;
      args.begin(count);
      for (let i = 0; i < count; i++) {
        const own = gradients[first + i]!;
        write(i, own, rows, type);
        tiles += tilesOf(own);
        args.int(at.tiles, i, tiles);
      }
      args.int(at.rows, 0, rows);
      args.int(at.partRows, 0, partRows);
      const summed = parts > 1;
      const scratch = summed ? launcher.scratch(tiles * parts * PART_FLOATS) : undefined;
      args.pointer(at.scratch, 0, scratch);
      args.pointer(at.counters, 0, summed ? launcher.counters(tiles) : undefined);
      launcher.launch(KERNELS[type], [tiles, parts], TILED_BLOCK, 0, args);
    }
  };
}

/** Tiles of a gradient. */
const tilesOf = ({ rank, cols }: FactorGradient) => blocksOf(rank, RANKS) * blocksOf(cols, COLUMNS);
