import type { LayerNormKernels } from "../../kernels/layer-norm.ts";
import { floats } from "./buffer.ts";
import { elementwiseKernels } from "./elementwise.ts";

/** LayerNorm with residual and dropout. */
export const layerNormKernels: LayerNormKernels = {
  addLayerNorm(xBuffer, residual, weightBuffer, biasBuffer, out, { rows, cols, eps, dropout }) {
    const [x, weight] = [floats(xBuffer), floats(weightBuffer)];
    const bias = biasBuffer && floats(biasBuffer);
    const [y, mean, rstd] = [floats(out.y), floats(out.mean), floats(out.rstd)];
    if (dropout) elementwiseKernels.dropout(xBuffer, xBuffer, rows, cols, dropout);
    if (residual) elementwiseKernels.add(xBuffer, residual);
    for (let r = 0; r < rows; r++) {
      const row = x.subarray(r * cols, (r + 1) * cols);
      const mu = row.reduce((sum, value) => sum + value, 0) / cols;
      const variance = row.reduce((sum, value) => sum + (value - mu) ** 2, 0) / cols;
      const scale = 1 / Math.sqrt(variance + eps);
      mean[r] = mu;
      rstd[r] = scale;
      for (let c = 0; c < cols; c++) {
        y[r * cols + c] = (row[c]! - mu) * scale * weight[c]! + (bias?.[c] ?? 0);
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
    if (dropout && out.dx) elementwiseKernels.dropout(out.dsum, out.dx, rows, cols, dropout);
  },
};
