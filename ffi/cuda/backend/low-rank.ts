import type { Backend } from "../../../core/backend.ts";
import type { StridedShape } from "../../../core/kernels/matrix.ts";
import { elements, floats, optionalFloats, optionalTarget, target, typeOf } from "../buffer.ts";
import { blocksOf, f32, i32, type Launcher } from "../launcher.ts";
import { ACTIVATIONS } from "./elementwise.ts";
import { launchEach, WARP } from "./launches.ts";

/** INCREMENT_ROWS, GRADIENT_RANKS and the threads of a block in kernels/low-rank.cu. */
const [INCREMENT_ROWS, GRADIENT_RANKS, BLOCK] = [32, 16, 256];

/** Rows that a block sums for a gradient; more rows are summed in parts, which are then added. */
const PART_ROWS = 4096;

/** kernels/low-rank.cu */
export function lowRankKernels(
  launcher: Launcher,
): Pick<Backend, "addLowRank" | "addFactorGradient"> {
  return {
    addLowRank(y, { h, e, scale, factor, transposed, rank }, bias, shape, activated) {
      const { rows, cols, stride = cols } = shape;
      const type = typeOf(y);
      const grid = [blocksOf(cols, WARP), blocksOf(rows, INCREMENT_ROWS)] as const;
      launcher.launch(`add_low_rank_${type}`, grid, BLOCK, 0, [
        target(y, storedElements(shape), type),
        floats(h, rows * rank),
        optionalFloats(e, rank),
        f32(scale),
        floats(factor, cols * rank),
        optionalFloats(bias, cols),
        optionalTarget(activated?.buffer, rows * cols, type),
        i32(rows),
        i32(cols),
        i32(stride),
        i32(rank),
        i32(Number(transposed)),
        i32(activated ? ACTIVATIONS[activated.kind] : 0),
      ]);
    },

    addFactorGradient(dy, { h, e, scale, transposed, rank }, gradient, shape) {
      const { rows, cols, stride = cols } = shape;
      const type = typeOf(dy);
      const parts = blocksOf(rows, PART_ROWS);
      const space = parts > 1 ? launcher.scratch(parts * rank * cols) : undefined;
      const [to, triplets] = [
        target(gradient, cols * rank),
        [optionalFloats(e, rank), f32(scale)] as const,
      ];
      const sizes = [i32(rank), i32(cols), i32(Number(transposed))];
      const grid = [blocksOf(cols, WARP), blocksOf(rank, GRADIENT_RANKS), parts] as const;
      launcher.launch(`add_factor_gradient_${type}`, grid, BLOCK, 0, [
        to,
        space,
        elements(dy, storedElements(shape), type),
        floats(h, rows * rank),
        ...triplets,
        i32(rows),
        i32(stride),
        i32(PART_ROWS),
        ...sizes,
      ]);
      if (space === undefined) return;
      const args = [to, space, ...triplets, i32(parts), ...sizes];
      launchEach(launcher, "add_gradient_parts", rank * cols, args);
    },
  };
}

/** Elements from a strided matrix's first to its last. */
function storedElements({ rows, cols, stride = cols }: StridedShape): number {
  return rows === 0 ? 0 : (rows - 1) * stride + cols;
}
