import type { Backend } from "../../../core/backend.ts";
import type { ActivationKind } from "../../../core/kernels/elementwise.ts";
import { floats, elements, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, P, typedKernels } from "./kernels.ts";

type Elementwise = Pick<
  Backend,
  | "add"
  | "scale"
  | "scaleBy"
  | "absolute"
  | "activate"
  | "activationBackward"
  | "dropout"
  | "addDropout"
>;

/** kernels/elementwise.c */
export const ELEMENTWISE_KERNELS = {
  adl_add: { args: [P, P, L], returns: I },
  adl_scale: { args: [P, F, P, L], returns: I },
  adl_scale_by: { args: [P, P, P, L], returns: I },
  adl_absolute: { args: [P, P, L], returns: I },
  adl_activate: { args: [I, P, P, L], returns: I },
  adl_activation_bwd: { args: [I, P, P, P, L], returns: I },
  adl_dropout: { args: [P, P, L, L, P], returns: I },
  adl_add_dropout: { args: [P, P, P, L, L, P], returns: I },
} as const;

/** enum activation of kernels/activation.h. */
export const ACTIVATIONS: Readonly<Record<ActivationKind, number>> = {
  gelu: 0,
  gelu_new: 1,
  relu: 2,
  tanh: 3,
  silu: 4,
};

/** Element-wise entries. */
export function elementwise({ library, dropout: draw }: CpuContext): Elementwise {
  const kernels = typedKernels(library, ELEMENTWISE_KERNELS);
  return {
    add(y, x) {
      const type = typeOf(y);
      kernels(type).adl_add(target(y, y.length, type), elements(x, y.length, type), y.length);
    },
    scale(x, factor, y) {
      const type = typeOf(y);
      const [from, to] = [elements(x, y.length, type), target(y, y.length, type)];
      kernels(type).adl_scale(from, factor, to, y.length);
    },
    scaleBy(x, s, y) {
      const type = typeOf(y);
      const [from, to] = [elements(x, y.length, type), target(y, y.length, type)];
      kernels(type).adl_scale_by(from, floats(s, 1), to, y.length);
    },
    absolute(x, y) {
      const type = typeOf(y);
      const [from, to] = [elements(x, y.length, type), target(y, y.length, type)];
      kernels(type).adl_absolute(from, to, y.length);
    },
    activate(kind, x, y) {
      const type = typeOf(y);
      const [from, to] = [elements(x, y.length, type), target(y, y.length, type)];
      kernels(type).adl_activate(ACTIVATIONS[kind], from, to, y.length);
    },
    activationBackward(kind, x, dy, dx) {
      const [n, type] = [dx.length, typeOf(dx)];
      const [at, from, to] = [elements(x, n, type), elements(dy, n, type), target(dx, n, type)];
      kernels(type).adl_activation_bwd(ACTIVATIONS[kind], at, from, to, n);
    },
    dropout(x, y, rows, cols, dropout) {
      const [n, type] = [rows * cols, typeOf(y)];
      const [from, to] = [elements(x, n, type), target(y, n, type)];
      kernels(type).adl_dropout(from, to, rows, cols, draw(dropout));
    },
    addDropout(x, residual, y, { rows, cols, dropout }) {
      const [n, type] = [rows * cols, typeOf(y)];
      const [from, addend, to] = [
        elements(x, n, type),
        elements(residual, n, type),
        target(y, n, type),
      ];
      kernels(type).adl_add_dropout(from, addend, to, rows, cols, draw(dropout));
    },
  };
}
