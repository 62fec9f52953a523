import type { ActivationKind, Backend, Dropout } from "../../backend.ts";
import { philox } from "../../rng.ts";
import { erf } from "./erf.ts";
import { floats } from "./buffer.ts";

type Elementwise = Pick<
  Backend,
  | "add"
  | "scale"
  | "scaleBy"
  | "activate"
  | "activationBackward"
  | "dropout"
  | "addLayerNorm"
  | "addLayerNormBackward"
>;

/** What dropout multiplies element (row, col) by: 0 or 1 / (1 - p). The definition that every backend must match bit for bit. */
export function dropoutFactor(row: number, col: number, d: Dropout): number {
  const word = philox([col >>> 2, row, d.site, d.step], d.seed)[col & 3]!;
  return word >= Math.floor(d.probability * 2 ** 32) ? 1 / (1 - d.probability) : 0;
}

const TANH_SCALE = Math.sqrt(2 / Math.PI);

/** Value and derivative of each activation. */
const activations: Record<ActivationKind, (x: number) => readonly [value: number, slope: number]> =
  {
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
    tanh(x) {
      const t = Math.tanh(x);
      return [t, 1 - t * t];
    },
  };

export const elementwise: Elementwise = {
  add(yBuffer, xBuffer) {
    const [y, x] = [floats(yBuffer), floats(xBuffer)];
    for (let i = 0; i < y.length; i++) y[i]! += x[i]!;
  },

  scale(xBuffer, factor, yBuffer) {
    const [x, y] = [floats(xBuffer), floats(yBuffer)];
    for (let i = 0; i < y.length; i++) y[i] = x[i]! * factor;
  },

  scaleBy(xBuffer, s, yBuffer) {
    elementwise.scale(xBuffer, floats(s)[0]!, yBuffer);
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

  addLayerNorm(xBuffer, residual, weightBuffer, biasBuffer, out, { rows, cols, eps, dropout }) {
    const [x, weight, bias] = [floats(xBuffer), floats(weightBuffer), floats(biasBuffer)];
    const [y, mean, rstd] = [floats(out.y), floats(out.mean), floats(out.rstd)];
    if (dropout) elementwise.dropout(xBuffer, xBuffer, rows, cols, dropout);
    if (residual) elementwise.add(xBuffer, residual);
    for (let r = 0; r < rows; r++) {
      const row = x.subarray(r * cols, (r + 1) * cols);
      const mu = row.reduce((sum, value) => sum + value, 0) / cols;
      const variance = row.reduce((sum, value) => sum + (value - mu) ** 2, 0) / cols;
      const scale = 1 / Math.sqrt(variance + eps);
      mean[r] = mu;
      rstd[r] = scale;
      for (let c = 0; c < cols; c++) {
        y[r * cols + c] = (row[c]! - mu) * scale * weight[c]! + bias[c]!;
      }
    }
  },

  addLayerNormBackward(dyBuffer, xBuffer, weightBuffer, stats, out, { rows, cols, dropout }) {
    const [dy, x, weight] = [floats(dyBuffer), floats(xBuffer), floats(weightBuffer)];
    const [mean, rstd, dsum] = [floats(stats.mean), floats(stats.rstd), floats(out.dsum)];
    const dweight = out.dweight && floats(out.dweight);
    const dbias = out.dbias && floats(out.dbias);
    for (let r = 0; r < rows; r++) {
      const normalised = (c: number) => (x[r * cols + c]! - mean[r]!) * rstd[r]!;
      let sumG = 0;
      let sumGn = 0;
      for (let c = 0; c < cols; c++) {
        const g = dy[r * cols + c]! * weight[c]!;
        sumG += g;
        sumGn += g * normalised(c);
        if (dbias) dbias[c]! += dy[r * cols + c]!;
        if (dweight) dweight[c]! += dy[r * cols + c]! * normalised(c);
      }
      for (let c = 0; c < cols; c++) {
        const g = dy[r * cols + c]! * weight[c]!;
        dsum[r * cols + c] = (g - sumG / cols - (normalised(c) * sumGn) / cols) * rstd[r]!;
      }
    }
    if (dropout && out.dx) elementwise.dropout(out.dsum, out.dx, rows, cols, dropout);
  },
};
