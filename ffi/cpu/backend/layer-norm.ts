import type { Backend } from "../../../core/backend.ts";
import {
  floats,
  elements,
  optionalElements,
  optionalFloats,
  optionalTarget,
  target,
  typeOf,
} from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openSizes, P, SIZE, typedKernels } from "./kernels.ts";
import { pack, struct } from "./struct.ts";

type LayerNorm = Pick<Backend, "addLayerNorm" | "addLayerNormBackward">;

/** kernels/layer-norm.c */
export const LAYER_NORM_KERNELS = {
  adl_add_layer_norm: { args: [P, P, P, P, P, P, P, L, L, F, P], returns: I },
  adl_add_layer_norm_bwd: { args: [P], returns: I },
} as const;

/** layer_norm_bwd_args of kernels/arguments.h */
export const LAYER_NORM_BACKWARD_ARGS = struct({
  dy: P,
  x: P,
  weight: P,
  mean: P,
  rstd: P,
  dsum: P,
  dx: P,
  dweight: P,
  dbias: P,
  rows: L,
  cols: L,
  dropout: P,
  scratch: P,
});

/** Scratch sizes in floats. */
export const LAYER_NORM_SIZES = {
  adl_layer_norm_bwd_scratch: { args: [L, L], returns: SIZE },
} as const;

/** Entries of layer normalisation. */
export function layerNorm({ library, scratch, dropout: draw }: CpuContext): LayerNorm {
  const kernels = typedKernels(library, LAYER_NORM_KERNELS);
  const sizes = openSizes(library, LAYER_NORM_SIZES);
  return {
    addLayerNorm(x, residual, weight, bias, out, { rows, cols, eps, dropout }) {
      const type = typeOf(x);
      kernels(type).adl_add_layer_norm(
        target(x, rows * cols, type),
        optionalElements(residual, rows * cols, type),
        floats(weight, cols),
        optionalFloats(bias, cols),
        target(out.y, rows * cols, type),
        target(out.mean, rows),
        target(out.rstd, rows),
        rows,
        cols,
        eps,
        draw(dropout),
      );
    },
    addLayerNormBackward(dy, x, weight, { mean, rstd }, out, { rows, cols, dropout }) {
      const type = typeOf(x);
      kernels(type).adl_add_layer_norm_bwd(
        pack(LAYER_NORM_BACKWARD_ARGS, {
          dy: elements(dy, rows * cols, type),
          x: elements(x, rows * cols, type),
          weight: floats(weight, cols),
          mean: floats(mean, rows),
          rstd: floats(rstd, rows),
          dsum: target(out.dsum, rows * cols, type),
          dx: optionalTarget(out.dx, rows * cols, type),
          dweight: optionalTarget(out.dweight, cols),
          dbias: optionalTarget(out.dbias, cols),
          rows,
          cols,
          dropout: draw(dropout),
          scratch: scratch(Number(sizes.adl_layer_norm_bwd_scratch(rows, cols))),
        }),
      );
    },
  };
}
