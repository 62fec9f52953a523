import type { Backend } from "../../../core/backend.ts";
import type { MaskedMatrix, Triplets } from "../../../core/kernels/training.ts";
import { floats, optionalFloats, target } from "../buffer.ts";
import { blocksOf, i32, i64, type Launcher } from "../launcher.ts";
import { packedOnce, packRows } from "./tables.ts";

type Allocator = Pick<Backend, "tripletScores" | "keepTop" | "applyMask">;

/** Threads of a block; elements of a matrix for which another is added, and the most. */
const [BLOCK, BLOCK_ELEMENTS, MOST_BLOCKS] = [256, 2048, 64];

/** TripletTable of kernels/allocator.cu. */
function tripletRow(adapter: Triplets, uncertainty: boolean) {
  const { a, e, b, scores, rank, inFeatures, outFeatures } = adapter;
  const [ofA, ofB] = [rank * inFeatures, outFeatures * rank];
  return [
    floats(a.sensitivity, ofA),
    uncertainty ? floats(a.uncertainty, ofA) : undefined,
    optionalFloats(e?.sensitivity, rank),
    uncertainty ? optionalFloats(e?.uncertainty, rank) : undefined,
    floats(b.sensitivity, ofB),
    uncertainty ? floats(b.uncertainty, ofB) : undefined,
    target(scores, rank),
    rank,
    inFeatures,
    outFeatures,
  ];
}

/** MaskTable of kernels/allocator.cu. */
const maskRow = ({ param, kept, rows, cols, columns }: MaskedMatrix) => [
  target(param, rows * cols),
  floats(kept, columns ? cols : rows),
  rows,
  cols,
  Number(columns),
];

/** The largest of some sizes, 0 for none. */
const largest = (sizes: readonly number[]) => sizes.reduce((a, b) => Math.max(a, b), 0);

/** A table of adapters with the largest rank. */
const packTriplets = (uncertainty: boolean) => (adapters: readonly Triplets[]) => ({
  table: packRows(adapters.map((each) => tripletRow(each, uncertainty))),
  rank: largest(adapters.map((adapter) => adapter.rank)),
});

/** A table of matrices with the most elements of one. */
const packMasked = (matrices: readonly MaskedMatrix[]) => ({
  table: packRows(matrices.map(maskRow)),
  elements: largest(matrices.map(({ rows, cols }) => rows * cols)),
});

/** kernels/allocator.cu */
export function allocatorKernels(launcher: Launcher): Allocator {
  const certain = packedOnce(packTriplets(false));
  const uncertain = packedOnce(packTriplets(true));
  const masked = packedOnce(packMasked);
  return {
    tripletScores(adapters, uncertainty) {
      const { table: rows, rank } = (uncertainty ? uncertain : certain)(adapters);
      const table = launcher.table(rows);
      launcher.launch("triplet_scores_f32", [adapters.length, rank], BLOCK, 0, [table]);
    },

    keepTop(scores, budget, kept, threshold, costs) {
      const n = scores.length;
      launcher.launch("keep_top_f32", 1, BLOCK, 0, [
        floats(scores, n),
        optionalFloats(costs, n),
        i32(n),
        i64(budget),
        target(kept, n),
        target(threshold, 1),
      ]);
    },

    applyMask(matrices) {
      const { table: rows, elements } = masked(matrices);
      const blocks = Math.min(blocksOf(elements, BLOCK_ELEMENTS), MOST_BLOCKS);
      const table = launcher.table(rows);
      launcher.launch("apply_mask_f32", [blocks, matrices.length], BLOCK, 0, [table]);
    },
  };
}
