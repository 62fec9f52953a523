import type { Backend } from "../../../core/backend.ts";
import type { MaskedMatrix, OrthogonalFactor, Triplets } from "../../../core/kernels/training.ts";
import { floats, optionalFloats, optionalTarget, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, openSizes, P, SIZE } from "./kernels.ts";
import { pack, struct } from "./struct.ts";

type Allocator = Pick<Backend, "tripletScores" | "keepTop" | "applyMask" | "orthogonality">;

/** kernels/allocator.c */
export const ALLOCATOR_KERNELS = {
  adl_triplet_scores: { args: [P, L, P], returns: I },
  adl_keep_top: { args: [P, P, L, L, P, P], returns: I },
  adl_apply_mask: { args: [P, L], returns: I },
  adl_orthogonality: { args: [P, L, P, F, F, P], returns: I },
} as const;

/** Scratch sizes in floats. */
export const ALLOCATOR_SIZES = {
  adl_triplet_scores_scratch: { args: [P, L], returns: SIZE },
  adl_orthogonality_scratch: { args: [P, L], returns: SIZE },
} as const;

const TRIPLETS = struct({
  aSensitivity: P,
  aUncertainty: P,
  eSensitivity: P,
  eUncertainty: P,
  bSensitivity: P,
  bUncertainty: P,
  scores: P,
  rank: L,
  inFeatures: L,
  outFeatures: L,
});
const MASKED = struct({ param: P, kept: P, rows: L, cols: L, columns: L });
const ORTHOGONAL = struct({ factor: P, grad: P, rank: L, width: L, columns: L });

/** The allocator's structs of kernels/arguments.h. */
export const ALLOCATOR_STRUCTS = {
  adl_triplets: TRIPLETS,
  adl_masked: MASKED,
  adl_orthogonal: ORTHOGONAL,
} as const;

function tripletFields(adapter: Triplets, uncertainty: boolean) {
  const { a, e, b, scores, rank, inFeatures, outFeatures } = adapter;
  const [ofA, ofB] = [rank * inFeatures, outFeatures * rank];
  return {
    aSensitivity: floats(a.sensitivity, ofA),
    aUncertainty: uncertainty ? floats(a.uncertainty, ofA) : null,
    eSensitivity: optionalFloats(e?.sensitivity, rank),
    eUncertainty: uncertainty ? optionalFloats(e?.uncertainty, rank) : null,
    bSensitivity: floats(b.sensitivity, ofB),
    bUncertainty: uncertainty ? floats(b.uncertainty, ofB) : null,
    scores: target(scores, rank),
    rank,
    inFeatures,
    outFeatures,
  };
}

const maskedFields = ({ param, kept, rows, cols, columns }: MaskedMatrix) => ({
  param: target(param, rows * cols),
  kept: floats(kept, columns ? cols : rows),
  rows,
  cols,
  columns: Number(columns),
});

const orthogonalFields = ({ factor, grad, rank, width, columns }: OrthogonalFactor) => ({
  factor: floats(factor, rank * width),
  grad: optionalTarget(grad, rank * width),
  rank,
  width,
  columns: Number(columns),
});

/** Entries of the rank allocator. */
export function allocator({ library, scratch }: CpuContext): Allocator {
  const kernels = openKernels(library, ALLOCATOR_KERNELS, "f32");
  const sizes = openSizes(library, ALLOCATOR_SIZES);
  return {
    tripletScores(adapters, uncertainty) {
      const rows = adapters.map((adapter) => tripletFields(adapter, uncertainty));
      const table = pack(TRIPLETS, ...rows);
      const space = scratch(Number(sizes.adl_triplet_scores_scratch(table, adapters.length)));
      kernels.adl_triplet_scores(table, adapters.length, space);
    },
    keepTop(scores, budget, kept, threshold, costs) {
      const n = scores.length;
      const [from, to, limit] = [floats(scores, n), target(kept, n), target(threshold, 1)];
      kernels.adl_keep_top(from, optionalFloats(costs, n), n, budget, to, limit);
    },
    applyMask(matrices) {
      kernels.adl_apply_mask(pack(MASKED, ...matrices.map(maskedFields)), matrices.length);
    },
    orthogonality(factors, norm, { weight, gradWeight }) {
      const table = pack(ORTHOGONAL, ...factors.map(orthogonalFields));
      const space = scratch(Number(sizes.adl_orthogonality_scratch(table, factors.length)));
      kernels.adl_orthogonality(table, factors.length, target(norm, 1), weight, gradWeight, space);
    },
  };
}
