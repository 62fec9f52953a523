import type { Backend } from "../../../core/backend.ts";
import { elements, integers, target, typeOf } from "../buffer.ts";
import { blocksOf, f32, i32, type Launcher } from "../launcher.ts";
import { WARP } from "./launches.ts";

/** Warps of a block, each with a query and head. */
const WARPS = 4;

/** kernels/chosen-rows.cu */
export function chosenRowsKernels(launcher: Launcher): Pick<Backend, "attendChosenRows"> {
  return {
    attendChosenRows({ q, k, v, index }, out, { rows, count, heads, headDim, scale }) {
      const [type, width] = [typeOf(out), heads * headDim];
      const keyRows = Math.floor(Math.min(k.length, v.length) / width);
      const shared = 4 * WARPS * (headDim + 2 * WARP);
      launcher.launch(
        `attend_chosen_rows_${type}`,
        blocksOf(rows * heads, WARPS),
        WARPS * WARP,
        shared,
        [
          target(out, rows * width, type),
          elements(q, rows * width, type),
          elements(k, 0, type),
          elements(v, 0, type),
          integers(index, rows * count),
          i32(keyRows),
          i32(rows),
          i32(count),
          i32(heads),
          i32(headDim),
          f32(1 / scale),
        ],
      );
    },
  };
}
