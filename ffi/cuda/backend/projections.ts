import type { Buffer } from "../../../core/backend.ts";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { GroupedArguments } from "../arguments.ts";
import { elements, floats, type KernelType, target, typeOf } from "../buffer.ts";
import { blocksOf, GROUP, type Launcher } from "../launcher.ts";
import { EACH_DROPOUT, writeDropout } from "./dropout.ts";
import { byType } from "./launches.ts";
import { RANKS, ROWS, storedLength, TILED_BLOCK } from "./triplets.ts";

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

/** Sets h of each product. All x have one type. */
export type Project = (
  products: readonly Projection[],
  rows: number,
  /** Whether the factors are [cols, rank]. */
  transposed: boolean,
) => void;

const KERNELS = byType("project");

/** kernels/projections.cu */
export function openProject(launcher: Launcher): Project {
  const args = new GroupedArguments({
    h: "each pointer",
    x: "each pointer",
    stride: "each int",
    factor: "each pointer",
    cols: "each int",
    rank: "each int",
    transposed: "int",
    rows: "int",
    ...EACH_DROPOUT,
  });
  const { at } = args;

  function write(i: number, product: Projection, rows: number, type: KernelType): void {
    const { h, x, cols, stride, factor, rank, dropout } = product;
    args.pointer(at.h, i, target(h, rows * rank));
    args.pointer(at.x, i, elements(x, storedLength(rows, cols, stride), type));
    args.int(at.stride, i, stride);
    args.pointer(at.factor, i, floats(factor, rank * cols));
    args.int(at.cols, i, cols);
    args.int(at.rank, i, rank);
    writeDropout(args, i, dropout);
  }

  return (products, rows, transposed) => {
    for (let first = 0; first < products.length; first += GROUP) {
      const count = Math.min(GROUP, products.length - first);
      const type = typeOf(products[first]!.x);
      let ranks = 0;
      args.begin(count);
      for (let i = 0; i < count; i++) {
        const product = products[first + i]!;
        write(i, product, rows, type);
        ranks = Math.max(ranks, product.rank);
      }
      args.int(at.transposed, 0, Number(transposed));
      args.int(at.rows, 0, rows);
      const grid = [blocksOf(rows, ROWS), blocksOf(ranks, RANKS), count] as const;
      launcher.launch(KERNELS[type], grid, TILED_BLOCK, 0, args);
    }
  };
}
