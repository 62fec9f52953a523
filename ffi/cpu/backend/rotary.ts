import type { Backend } from "../../../core/backend.ts";
import { floats, integers, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { I, L, P, typedKernels } from "./kernels.ts";

/** kernels/rotate.c */
export const ROTARY_KERNELS = {
  adl_rotate: { args: [P, P, P, P, L, L, L, L, L, L, I], returns: I },
} as const;

/** The entry of rotary position embedding. */
export function rotary({ library }: CpuContext): Pick<Backend, "rotate"> {
  const kernels = typedKernels(library, ROTARY_KERNELS);
  return {
    rotate(x, positions, tables, { rows, heads, headDim, stride, inverse }) {
      const type = typeOf(x);
      const extent = Math.max(0, (rows - 1) * stride + heads * headDim);
      const entries = tables.rows * (tables.rotated / 2);
      kernels(type).adl_rotate(
        target(x, extent, type),
        floats(tables.cos, entries),
        floats(tables.sin, entries),
        integers(positions, rows),
        rows,
        heads,
        headDim,
        tables.rotated,
        stride,
        tables.rows,
        Number(inverse),
      );
    },
  };
}
