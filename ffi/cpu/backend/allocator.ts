import type { Pointer } from "bun:ffi";
import type { Backend } from "../../../core/backend.ts";
import type {
  Averages,
  MaskedMatrix,
  OrthogonalFactor,
  Triplets,
} from "../../../core/kernels/training.ts";
import { floats, optionalTarget, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, openSizes, P, SIZE } from "./kernels.ts";

type Allocator = Pick<Backend, "tripletScores" | "keepTop" | "applyMask" | "orthogonality">;

/** kernels/allocator.c */
export const ALLOCATOR_KERNELS = {
  adl_triplet_scores: { args: [P, L, P], returns: I },
  adl_keep_top: { args: [P, L, L, P, P], returns: I },
  adl_apply_mask: { args: [P, L], returns: I },
  adl_orthogonality: { args: [P, L, P, F, F, P], returns: I },
} as const;

export const ALLOCATOR_SIZES = {
  adl_triplet_scores_scratch: { args: [P, L], returns: SIZE },
  adl_orthogonality_scratch: { args: [P, L], returns: SIZE },
} as const;

type Fields = readonly (Pointer | number | null)[];

/** Structs of C, one after another, whose fields are addresses (NULL is 0) and int64_t's. */
const structs = (rows: readonly Fields[]) =>
  BigInt64Array.from(rows.flat(), (field) => BigInt(field ?? 0));

/** Sensitivity and uncertainty of n numbers; NULL for what the score leaves out. */
const scored = (averages: Averages | undefined, n: number, uncertainty: boolean) =>
  [
    averages === undefined ? null : floats(averages.sensitivity, n),
    averages === undefined || !uncertainty ? null : floats(averages.uncertainty, n),
  ] as const;

/** struct adl_triplets */
const tripletFields = (adapter: Triplets, uncertainty: boolean): Fields => {
  const { a, e, b, scores, rank, inFeatures, outFeatures } = adapter;
  return [
    ...scored(a, rank * inFeatures, uncertainty),
    ...scored(e, rank, uncertainty),
    ...scored(b, outFeatures * rank, uncertainty),
    target(scores, rank),
    rank,
    inFeatures,
    outFeatures,
  ];
};

/** struct adl_masked */
const maskedFields = ({ param, kept, rows, cols, columns }: MaskedMatrix): Fields => [
  target(param, rows * cols),
  floats(kept, columns ? cols : rows),
  rows,
  cols,
  Number(columns),
];

/** struct adl_orthogonal */
const orthogonalFields = ({ factor, grad, rank, width, columns }: OrthogonalFactor): Fields => [
  floats(factor, rank * width),
  optionalTarget(grad, rank * width),
  rank,
  width,
  Number(columns),
];

export function allocator({ library, scratch }: CpuContext): Allocator {
  const kernels = openKernels(library, ALLOCATOR_KERNELS, "f32");
  const sizes = openSizes(library, ALLOCATOR_SIZES);
  return {
    tripletScores(adapters, uncertainty) {
      const table = structs(adapters.map((adapter) => tripletFields(adapter, uncertainty)));
      const space = scratch(Number(sizes.adl_triplet_scores_scratch(table, adapters.length)));
      kernels.adl_triplet_scores(table, adapters.length, space);
    },
    keepTop(scores, budget, kept, threshold) {
      const n = scores.length;
      const [from, to, limit] = [floats(scores, n), target(kept, n), target(threshold, 1)];
      kernels.adl_keep_top(from, n, budget, to, limit);
    },
    applyMask(matrices) {
      kernels.adl_apply_mask(structs(matrices.map(maskedFields)), matrices.length);
    },
    orthogonality(factors, norm, { weight, gradWeight }) {
      const table = structs(factors.map(orthogonalFields));
      const space = scratch(Number(sizes.adl_orthogonality_scratch(table, factors.length)));
      kernels.adl_orthogonality(table, factors.length, target(norm, 1), weight, gradWeight, space);
    },
  };
}
