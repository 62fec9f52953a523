import type { Backend } from "../../../core/backend.ts";
import { floats, optionalFloats, optionalTarget, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, openSizes, P, SIZE } from "./kernels.ts";

type LayerNorm = Pick<Backend, "addLayerNorm" | "addLayerNormBackward">;

/** kernels/layer-norm.c */
export const LAYER_NORM_KERNELS = {
  adl_add_layer_norm_f32: { args: [P, P, P, P, P, P, P, L, L, F, P], returns: I },
  adl_add_layer_norm_bwd_f32: { args: [P, P, P, P, P, P, P, P, P, L, L, P, P], returns: I },
} as const;

export const LAYER_NORM_SIZES = {
  adl_layer_norm_bwd_scratch: { args: [L, L], returns: SIZE },
} as const;

export function layerNorm({ library, scratch, dropout: draw }: CpuContext): LayerNorm {
  const kernels = openKernels(library, LAYER_NORM_KERNELS);
  const sizes = openSizes(library, LAYER_NORM_SIZES);
  return {
    addLayerNorm(x, residual, weight, bias, out, { rows, cols, eps, dropout }) {
      kernels.adl_add_layer_norm_f32(
        target(x, rows * cols),
        optionalFloats(residual, rows * cols),
        floats(weight, cols),
        floats(bias, cols),
        target(out.y, rows * cols),
        target(out.mean, rows),
        target(out.rstd, rows),
        rows,
        cols,
        eps,
        draw(dropout),
      );
    },
    addLayerNormBackward(dy, x, weight, { mean, rstd }, out, { rows, cols, dropout }) {
      kernels.adl_add_layer_norm_bwd_f32(
        floats(dy, rows * cols),
        floats(x, rows * cols),
        floats(weight, cols),
        floats(mean, rows),
        floats(rstd, rows),
        target(out.dsum, rows * cols),
        optionalTarget(out.dx, rows * cols),
        optionalTarget(out.dweight, cols),
        optionalTarget(out.dbias, cols),
        rows,
        cols,
        draw(dropout),
        scratch(Number(sizes.adl_layer_norm_bwd_scratch(rows, cols))),
      );
    },
  };
}
