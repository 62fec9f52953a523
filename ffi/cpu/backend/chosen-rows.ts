import type { Backend } from "../../../core/backend.ts";
import { integers, elements, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openSizes, P, SIZE, typedKernels } from "./kernels.ts";

/** kernels/chosen-rows.c */
export const CHOSEN_ROWS_KERNELS = {
  adl_attend_chosen_rows: { args: [P, P, P, L, P, P, I, I, I, I, F, P], returns: I },
} as const;

/** Scratch sizes in floats. */
export const CHOSEN_ROWS_SIZES = {
  adl_chosen_rows_scratch: { args: [I], returns: SIZE },
} as const;

/** Attention to chosen rows. */
export function chosenRows({ library, scratch }: CpuContext): Pick<Backend, "attendChosenRows"> {
  const kernels = typedKernels(library, CHOSEN_ROWS_KERNELS);
  const sizes = openSizes(library, CHOSEN_ROWS_SIZES);
  return {
    attendChosenRows({ q, k, v, index }, out, { rows, count, heads, headDim, scale }) {
      const [type, width] = [typeOf(out), heads * headDim];
      const keyRows = Math.floor(Math.min(k.length, v.length) / width);
      kernels(type).adl_attend_chosen_rows(
        elements(q, rows * width, type),
        elements(k, 0, type),
        elements(v, 0, type),
        keyRows,
        integers(index, rows * count),
        target(out, rows * width, type),
        rows,
        count,
        heads,
        headDim,
        scale,
        scratch(Number(sizes.adl_chosen_rows_scratch(count))),
      );
    },
  };
}
