import type { RmsNormKernels } from "../../kernels/rms-norm.ts";
import { floats } from "./buffer.ts";

/** Root mean square normalisation. */
export const rmsNormKernels: RmsNormKernels = {
  rmsNorm(xBuffer, weightBuffer, out, { rows, cols, eps }) {
    const [x, weight] = [floats(xBuffer), floats(weightBuffer)];
    const [y, rstd] = [floats(out.y), floats(out.rstd)];
    for (let r = 0; r < rows; r++) {
      const row = x.subarray(r * cols, (r + 1) * cols);
      const meanSquare = row.reduce((sum, value) => sum + value * value, 0) / cols;
      rstd[r] = 1 / Math.sqrt(meanSquare + eps);
      for (let c = 0; c < cols; c++) y[r * cols + c] = row[c]! * rstd[r]! * weight[c]!;
    }
  },

  rmsNormBackward(dyBuffer, xBuffer, weightBuffer, rstdBuffer, out, { rows, cols }) {
    const [dy, x, weight] = [floats(dyBuffer), floats(xBuffer), floats(weightBuffer)];
    const [rstd, dx] = [floats(rstdBuffer), floats(out.dx)];
    const dweight = out.dweight && floats(out.dweight);
    for (let r = 0; r < rows; r++) {
      const normalised = (c: number) => x[r * cols + c]! * rstd[r]!;
      let dot = 0;
      for (let c = 0; c < cols; c++) {
        dot += dy[r * cols + c]! * weight[c]! * normalised(c);
        if (dweight) dweight[c]! += dy[r * cols + c]! * normalised(c);
      }
      for (let c = 0; c < cols; c++) {
        const g = dy[r * cols + c]! * weight[c]!;
        dx[r * cols + c] = (g - (normalised(c) * dot) / cols) * rstd[r]!;
      }
    }
  },
};
