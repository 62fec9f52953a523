import type { Buffer } from "../../../core/kernels/memory.ts";
import type {
  GatedActivationKernels,
  GatedInputs,
  GatedShape,
} from "../../../core/kernels/gated-activation.ts";
import { type CudaBuffer, elements, type KernelType, target, typeOf } from "../buffer.ts";
import { i32, type Launcher } from "../launcher.ts";
import { ACTIVATIONS } from "./elementwise.ts";
import { launchMatrix } from "./launches.ts";

/** kernels/gated-activation.cu */
export function gatedActivationKernels(launcher: Launcher): GatedActivationKernels {
  return {
    gatedActivation(kind, inputs, y, shape) {
      const [n, type] = [shape.rows * shape.cols, typeOf(y)];
      const from = pair(inputs, shape, type, elements);
      const args = [i32(ACTIVATIONS[kind]), ...from, target(y, n, type), ...sizes(shape)];
      launchMatrix(launcher, `gated_activation_${type}`, shape, args);
    },
    gatedActivationBackward(kind, dy, inputs, grads, shape) {
      const [n, type] = [shape.rows * shape.cols, typeOf(dy)];
      const args = [
        i32(ACTIVATIONS[kind]),
        elements(dy, n, type),
        ...pair(inputs, shape, type, elements),
        ...pair(grads, shape, type, target),
        ...sizes(shape),
      ];
      launchMatrix(launcher, `gated_activation_backward_${type}`, shape, args);
    },
  };
}

/** x and gate, or their gradients, checked by `check`. */
function pair(
  { x, gate }: GatedInputs,
  { rows, cols, stride }: GatedShape,
  type: KernelType,
  check: (buffer: Buffer, count: number, type: KernelType) => CudaBuffer,
): CudaBuffer[] {
  const count = rows === 0 ? 0 : (rows - 1) * stride + cols;
  return [check(x, count, type), check(gate, count, type)];
}

const sizes = ({ cols, stride }: GatedShape) => [i32(cols), i32(stride)];
