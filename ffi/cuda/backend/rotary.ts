import type { RotaryKernels } from "../../../core/kernels/rotary.ts";
import { floats, integers, target, typeOf } from "../buffer.ts";
import { f32, i32, type Launcher } from "../launcher.ts";
import { launchMatrix } from "./launches.ts";

/** kernels/rotary.cu */
export function rotaryKernels(launcher: Launcher): RotaryKernels {
  return {
    rotate(x, positions, tables, { rows, heads, headDim, stride, inverse }) {
      const [type, half] = [typeOf(x), tables.rotated / 2];
      const count = rows === 0 ? 0 : (rows - 1) * stride + heads * headDim;
      launchMatrix(launcher, `rotate_${type}`, { rows, cols: heads * half }, [
        target(x, count, type),
        integers(positions, rows),
        floats(tables.cos, tables.rows * half),
        floats(tables.sin, tables.rows * half),
        i32(heads),
        i32(headDim),
        i32(stride),
        i32(half),
        f32(inverse ? -1 : 1),
      ]);
    },
  };
}
