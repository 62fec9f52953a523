import type { ActivationKind, ElementwiseKernels } from "../../../core/kernels/elementwise.ts";
import type { Buffer } from "../../../core/kernels/memory.ts";
import { elements, floats, target, typeOf } from "../buffer.ts";
import { type Arg, f32, i32, i64, type Launcher } from "../launcher.ts";
import { dropoutArgs } from "./dropout.ts";
import { launchEach, launchMatrix } from "./launches.ts";

/** enum Activation of kernels/activations.h. */
export const ACTIVATIONS: Readonly<Record<ActivationKind, number>> = {
  gelu: 0,
  gelu_new: 1,
  relu: 2,
  tanh: 3,
  silu: 4,
};

/** kernels/elementwise.cu */
export function elementwiseKernels(launcher: Launcher): ElementwiseKernels {
  /** Sets each element of `y` from the same element of `inputs`. */
  function setEach(name: string, inputs: readonly Buffer[], y: Buffer, first: Arg[] = []): void {
    const [n, type] = [y.length, typeOf(y)];
    const from = inputs.map((input) => elements(input, n, type));
    launchEach(launcher, `${name}_${type}`, n, [...first, ...from, target(y, n, type), i64(n)]);
  }

  /** Four columns of a row a thread, which share a Philox block. */
  const launchGroups = (kernel: string, rows: number, cols: number, args: Arg[]) =>
    launchMatrix(launcher, kernel, { rows, cols: Math.ceil(cols / 4) }, args);

  return {
    add(y, x) {
      const [n, type] = [y.length, typeOf(y)];
      const args = [target(y, n, type), elements(x, n, type), i64(n)];
      launchEach(launcher, `add_${type}`, n, args);
    },
    scale(x, factor, y) {
      setEach("scale", [x], y, [f32(factor)]);
    },
    scaleBy(x, s, y) {
      setEach("scale_by", [x], y, [floats(s, 1)]);
    },
    absolute(x, y) {
      setEach("absolute", [x], y);
    },
    activate(kind, x, y) {
      setEach("activate", [x], y, [i32(ACTIVATIONS[kind])]);
    },
    activationBackward(kind, x, dy, dx) {
      setEach("activation_backward", [x, dy], dx, [i32(ACTIVATIONS[kind])]);
    },
    dropout(x, y, rows, cols, dropout) {
      const [n, type] = [rows * cols, typeOf(y)];
      const [from, to] = [elements(x, n, type), target(y, n, type)];
      const args = [from, to, i32(cols), ...dropoutArgs(dropout)];
      launchGroups(`dropout_${type}`, rows, cols, args);
    },
    addDropout(x, residual, y, { rows, cols, dropout }) {
      const [n, type] = [rows * cols, typeOf(y)];
      const from = [elements(x, n, type), elements(residual, n, type)];
      const to = target(y, n, type);
      const args = [...from, to, i32(cols), ...dropoutArgs(dropout)];
      launchGroups(`add_dropout_${type}`, rows, cols, args);
    },
  };
}
