import type { ElementwiseKernels } from "../../../core/kernels/elementwise.ts";
import { elements, target, typeOf } from "../buffer.ts";
import { blocksOf, i32, type Launcher } from "../launcher.ts";

const BLOCK = 256;

/** kernels/elementwise.cu */
export function elementwiseKernels(launcher: Launcher): Pick<ElementwiseKernels, "add"> {
  return {
    add(y, x) {
      const [n, type] = [y.length, typeOf(y)];
      const args = [target(y, n, type), elements(x, n, type), i32(n)];
      launcher.launch(`add_${type}`, blocksOf(n, BLOCK), BLOCK, 0, args);
    },
  };
}
