import type { ActivationKind, Backend } from "../../../core/backend.ts";
import { floats, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, P } from "./kernels.ts";

type Elementwise = Pick<
  Backend,
  "add" | "scale" | "scaleBy" | "absolute" | "activate" | "activationBackward" | "dropout"
>;

/** kernels/elementwise.c */
export const ELEMENTWISE_KERNELS = {
  adl_add_f32: { args: [P, P, L], returns: I },
  adl_scale_f32: { args: [P, F, P, L], returns: I },
  adl_scale_by_f32: { args: [P, P, P, L], returns: I },
  adl_absolute_f32: { args: [P, P, L], returns: I },
  adl_activate_f32: { args: [I, P, P, L], returns: I },
  adl_activation_bwd_f32: { args: [I, P, P, P, L], returns: I },
  adl_dropout_f32: { args: [P, P, L, L, P], returns: I },
} as const;

/** enum activation of kernels/elementwise.c. */
const KINDS: Readonly<Record<ActivationKind, number>> = { gelu: 0, gelu_new: 1, relu: 2, tanh: 3 };

export function elementwise({ library, dropout: draw }: CpuContext): Elementwise {
  const kernels = openKernels(library, ELEMENTWISE_KERNELS);
  return {
    add(y, x) {
      kernels.adl_add_f32(target(y, y.length), floats(x, y.length), y.length);
    },
    scale(x, factor, y) {
      kernels.adl_scale_f32(floats(x, y.length), factor, target(y, y.length), y.length);
    },
    scaleBy(x, s, y) {
      const [from, by, to] = [floats(x, y.length), floats(s, 1), target(y, y.length)];
      kernels.adl_scale_by_f32(from, by, to, y.length);
    },
    absolute(x, y) {
      kernels.adl_absolute_f32(floats(x, y.length), target(y, y.length), y.length);
    },
    activate(kind, x, y) {
      const [from, to] = [floats(x, y.length), target(y, y.length)];
      kernels.adl_activate_f32(KINDS[kind], from, to, y.length);
    },
    activationBackward(kind, x, dy, dx) {
      const n = dx.length;
      const [at, from, to] = [floats(x, n), floats(dy, n), target(dx, n)];
      kernels.adl_activation_bwd_f32(KINDS[kind], at, from, to, n);
    },
    dropout(x, y, rows, cols, dropout) {
      const [from, to] = [floats(x, rows * cols), target(y, rows * cols)];
      kernels.adl_dropout_f32(from, to, rows, cols, draw(dropout));
    },
  };
}
