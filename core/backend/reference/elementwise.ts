import type { ActivationKind, Dropout, ElementwiseKernels } from "../../kernels/elementwise.ts";
import { philox } from "../../rng.ts";
import { erf } from "./erf.ts";
import { floats } from "./buffer.ts";

/**
 * The factor of dropout on element (row, col): 0 or 1 / (1 - p). Every backend must drop the same
 * elements.
 */
export function dropoutFactor(row: number, col: number, d: Dropout): number {
  const word = wordsOf(row, col >>> 2, d)[col & 3]!;
  return word >= Math.floor(d.probability * 2 ** 32) ? 1 / (1 - d.probability) : 0;
}

interface Drawn {
  readonly row: number;
  readonly block: number;
  readonly site: number;
  readonly step: number;
  readonly low: number;
  readonly high: number;
  readonly words: readonly number[];
}

/** The words drawn last: neighbouring columns share them. */
let last: Drawn = {
  row: -1,
  block: -1,
  site: -1,
  step: -1,
  low: -1,
  high: -1,
  words: [0, 0, 0, 0],
};

/** The random words of columns 4 `block` to 4 `block` + 3 of a row. */
function wordsOf(row: number, block: number, { site, step, seed }: Dropout): readonly number[] {
  const [low, high] = seed;
  const isLast =
    last.block === block &&
    last.row === row &&
    last.site === site &&
    last.step === step &&
    last.low === low &&
    last.high === high;
  if (isLast) return last.words;
  last = { row, block, site, step, low, high, words: philox([block, row, site, step], seed) };
  return last.words;
}

const TANH_SCALE = Math.sqrt(2 / Math.PI);

/** Value and derivative of each activation. */
export const activations: Record<
  ActivationKind,
  (x: number) => readonly [value: number, slope: number]
> = {
  gelu(x) {
    const cdf = 0.5 * (1 + erf(x / Math.SQRT2));
    return [x * cdf, cdf + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI)];
  },
  gelu_new(x) {
    const t = Math.tanh(TANH_SCALE * (x + 0.044715 * x ** 3));
    const slope = (1 - t * t) * TANH_SCALE * (1 + 3 * 0.044715 * x * x);
    return [0.5 * x * (1 + t), 0.5 * (1 + t) + 0.5 * x * slope];
  },
  relu: (x) => (x > 0 ? [x, 1] : [0, 0]),
  silu(x) {
    const sigmoid = 1 / (1 + Math.exp(-x));
    return [x * sigmoid, sigmoid * (1 + x * (1 - sigmoid))];
  },
  tanh(x) {
    const t = Math.tanh(x);
    return [t, 1 - t * t];
  },
};

/** Element-wise kernels. */
export const elementwiseKernels: ElementwiseKernels = {
  add(yBuffer, xBuffer) {
    const [y, x] = [floats(yBuffer), floats(xBuffer)];
    for (let i = 0; i < y.length; i++) y[i]! += x[i]!;
  },

  scale(xBuffer, factor, yBuffer) {
    const [x, y] = [floats(xBuffer), floats(yBuffer)];
    for (let i = 0; i < y.length; i++) y[i] = x[i]! * factor;
  },

  scaleBy(xBuffer, s, yBuffer) {
    elementwiseKernels.scale(xBuffer, floats(s)[0]!, yBuffer);
  },

  absolute(xBuffer, yBuffer) {
    const [x, y] = [floats(xBuffer), floats(yBuffer)];
    for (let i = 0; i < y.length; i++) y[i] = Math.abs(x[i]!);
  },

  activate(kind, xBuffer, yBuffer) {
    const [x, y] = [floats(xBuffer), floats(yBuffer)];
    for (let i = 0; i < y.length; i++) y[i] = activations[kind](x[i]!)[0];
  },

  activationBackward(kind, xBuffer, dyBuffer, dxBuffer) {
    const [x, dy, dx] = [floats(xBuffer), floats(dyBuffer), floats(dxBuffer)];
    for (let i = 0; i < dx.length; i++) dx[i] = dy[i]! * activations[kind](x[i]!)[1];
  },

  dropout(xBuffer, yBuffer, rows, cols, dropout) {
    const [x, y] = [floats(xBuffer), floats(yBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        y[r * cols + c] = x[r * cols + c]! * dropoutFactor(r, c, dropout);
      }
    }
  },

  addDropout(xBuffer, residualBuffer, yBuffer, { rows, cols, dropout }) {
    const [x, residual, y] = [floats(xBuffer), floats(residualBuffer), floats(yBuffer)];
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        const kept = dropout ? dropoutFactor(r, c, dropout) : 1;
        y[r * cols + c] = residual[r * cols + c]! + x[r * cols + c]! * kept;
      }
    }
  },
};
