import type { Backend } from "../../../core/backend.ts";
import type { GatedShape } from "../../../core/kernels/gated-activation.ts";
import { elements, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { ACTIVATIONS } from "./elementwise.ts";
import { I, L, P, typedKernels } from "./kernels.ts";

type GatedActivation = Pick<Backend, "gatedActivation" | "gatedActivationBackward">;

/** kernels/gated-activation.c */
export const GATED_ACTIVATION_KERNELS = {
  adl_gated_activation: { args: [I, P, P, P, L, L, L], returns: I },
  adl_gated_activation_bwd: { args: [I, P, P, P, P, P, L, L, L], returns: I },
} as const;

/** Elements from the first to the last of a matrix with a row stride. */
const extentOf = ({ rows, cols, stride }: GatedShape) => Math.max(0, (rows - 1) * stride + cols);

/** Entries of gated activations. */
export function gatedActivation({ library }: CpuContext): GatedActivation {
  const kernels = typedKernels(library, GATED_ACTIVATION_KERNELS);
  return {
    gatedActivation(kind, { x, gate }, y, shape) {
      const { rows, cols, stride } = shape;
      const [type, extent] = [typeOf(y), extentOf(shape)];
      const [from, factors] = [elements(x, extent, type), elements(gate, extent, type)];
      const to = target(y, rows * cols, type);
      kernels(type).adl_gated_activation(ACTIVATIONS[kind], from, factors, to, rows, cols, stride);
    },
    gatedActivationBackward(kind, dy, { x, gate }, grads, shape) {
      const { rows, cols, stride } = shape;
      const [type, extent] = [typeOf(dy), extentOf(shape)];
      kernels(type).adl_gated_activation_bwd(
        ACTIVATIONS[kind],
        elements(dy, rows * cols, type),
        elements(x, extent, type),
        elements(gate, extent, type),
        target(grads.x, extent, type),
        target(grads.gate, extent, type),
        rows,
        cols,
        stride,
      );
    },
  };
}
