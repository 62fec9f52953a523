import type { Backend } from "../../../core/backend.ts";
import type { StridedShape } from "../../../core/kernels/matrix.ts";
import { floats, elements, optionalFloats, optionalTarget, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { ACTIVATIONS } from "./elementwise.ts";
import { F, I, L, openSizes, P, SIZE, typedKernels } from "./kernels.ts";
import { pack, struct } from "./struct.ts";

/** kernels/low-rank.c */
export const LOW_RANK_KERNELS = {
  adl_add_low_rank: { args: [P], returns: I },
  adl_add_factor_gradient: { args: [P, L, P, P, F, P, L, L, L, I, P], returns: I },
} as const;

/** low_rank_args of kernels/arguments.h */
export const LOW_RANK_ARGS = struct({
  y: P,
  h: P,
  e: P,
  factor: P,
  bias: P,
  activated: P,
  rows: L,
  cols: L,
  stride: L,
  rank: L,
  scale: F,
  transposed: I,
  kind: I,
  scratch: P,
});

/** Scratch sizes in floats. */
export const LOW_RANK_SIZES = {
  adl_low_rank_scratch: { args: [L, L, L], returns: SIZE },
  adl_factor_gradient_scratch: { args: [L, L, L], returns: SIZE },
} as const;

/** Entries of the low-rank increment. */
export function lowRank({
  library,
  scratch,
}: CpuContext): Pick<Backend, "addLowRank" | "addFactorGradient"> {
  const kernels = typedKernels(library, LOW_RANK_KERNELS);
  const sizes = openSizes(library, LOW_RANK_SIZES);
  return {
    addLowRank(y, { h, e, scale, factor, transposed, rank }, bias, shape, activated) {
      const { rows, cols, stride = cols } = shape;
      const type = typeOf(y);
      kernels(type).adl_add_low_rank(
        pack(LOW_RANK_ARGS, {
          y: target(y, storedElements(shape), type),
          h: floats(h, rows * rank),
          e: optionalFloats(e, rank),
          factor: floats(factor, cols * rank),
          bias: optionalFloats(bias, cols),
          activated: optionalTarget(activated?.buffer, rows * cols, type),
          rows,
          cols,
          stride,
          rank,
          scale,
          transposed: Number(transposed),
          kind: activated ? ACTIVATIONS[activated.kind] : 0,
          scratch: scratch(Number(sizes.adl_low_rank_scratch(rows, cols, rank))),
        }),
      );
    },
    addFactorGradient(dy, { h, e, scale, transposed, rank }, gradient, shape) {
      const { rows, cols, stride = cols } = shape;
      const type = typeOf(dy);
      kernels(type).adl_add_factor_gradient(
        elements(dy, storedElements(shape), type),
        stride,
        floats(h, rows * rank),
        optionalFloats(e, rank),
        scale,
        target(gradient, cols * rank),
        rows,
        cols,
        rank,
        Number(transposed),
        scratch(Number(sizes.adl_factor_gradient_scratch(rows, cols, rank))),
      );
    },
  };
}

/** Elements from a strided matrix's first to its last. */
function storedElements({ rows, cols, stride = cols }: StridedShape): number {
  return rows === 0 ? 0 : (rows - 1) * stride + cols;
}
