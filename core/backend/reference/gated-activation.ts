import type { GatedActivationKernels } from "../../kernels/gated-activation.ts";
import { floats } from "./buffer.ts";
import { activations } from "./elementwise.ts";

/** Gated linear units. */
export const gatedActivationKernels: GatedActivationKernels = {
  gatedActivation(kind, inputs, yBuffer, { rows, cols, stride }) {
    const [x, gate, y] = [floats(inputs.x), floats(inputs.gate), floats(yBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        const at = r * stride + c;
        y[r * cols + c] = activations[kind](x[at]!)[0] * gate[at]!;
      }
    }
  },

  gatedActivationBackward(kind, dyBuffer, inputs, grads, { rows, cols, stride }) {
    const [dy, x, gate] = [floats(dyBuffer), floats(inputs.x), floats(inputs.gate)];
    const [dx, dgate] = [floats(grads.x), floats(grads.gate)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        const [at, d] = [r * stride + c, dy[r * cols + c]!];
        const [value, slope] = activations[kind](x[at]!);
        dx[at] = d * gate[at]! * slope;
        dgate[at] = d * value;
      }
    }
  },
};
