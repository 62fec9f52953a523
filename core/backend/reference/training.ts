import type {
  Averages,
  Importance,
  OrthogonalFactor,
  TrainingKernels,
} from "../../kernels/training.ts";
import { floats } from "./buffer.ts";

/** The optimizer and AdaLoRA's budget allocation. */
export const trainingKernels: TrainingKernels = {
  sumOfSquares(xBuffer, sumBuffer) {
    floats(sumBuffer)[0] = floats(xBuffer).reduce((sum, x) => sum + x * x, 0);
  },

  clipByNorm(gradBuffer, sumOfSquares, maxNorm, normBuffer) {
    const grad = floats(gradBuffer);
    const norm = Math.sqrt(floats(sumOfSquares)[0]!);
    floats(normBuffer)[0] = norm;
    if (maxNorm <= 0) return;
    const factor = Math.min(1, maxNorm / (norm + 1e-6));
    for (let i = 0; i < grad.length; i++) grad[i]! *= factor;
  },

  adamw(paramBuffer, gradBuffer, mBuffer, vBuffer, s, importance) {
    const [param, grad, m, v] = [
      floats(paramBuffer),
      floats(gradBuffer),
      floats(mBuffer),
      floats(vBuffer),
    ];
    const correction1 = 1 - s.beta1 ** s.t;
    const correction2 = Math.sqrt(1 - s.beta2 ** s.t);
    for (let i = 0; i < param.length; i++) {
      const g = grad[i]!;
      m[i] = s.beta1 * m[i]! + (1 - s.beta1) * g;
      v[i] = s.beta2 * v[i]! + (1 - s.beta2) * g * g;
      if (s.variant === "adamw") {
        param[i]! *= 1 - s.lr * s.weightDecay;
        param[i]! -= (s.lr / correction1) * (m[i]! / (Math.sqrt(v[i]!) / correction2 + s.eps));
      } else {
        param[i]! -= ((s.lr * correction2) / correction1) * (m[i]! / (Math.sqrt(v[i]!) + s.eps));
        param[i]! -= s.lr * s.weightDecay * param[i]!;
      }
    }
    if (importance) updateImportance(param, grad, importance);
  },

  tripletScores(adapters, uncertainty) {
    const score = (averages: Averages) => {
      const [s, u] = [floats(averages.sensitivity), floats(averages.uncertainty)];
      return (i: number) => s[i]! * (uncertainty ? u[i]! : 1);
    };
    for (const { a, e, b, rank, inFeatures, outFeatures, ...to } of adapters) {
      const [ofA, ofE, ofB] = [score(a), e && score(e), score(b)];
      const scores = floats(to.scores);
      for (let r = 0; r < rank; r++) {
        let sumA = 0;
        let sumB = 0;
        for (let c = 0; c < inFeatures; c++) sumA += ofA(r * inFeatures + c);
        for (let o = 0; o < outFeatures; o++) sumB += ofB(o * rank + r);
        scores[r] = (ofE?.(r) ?? 0) + (sumA / inFeatures + sumB / outFeatures);
      }
    }
  },

  keepTop(scoresBuffer, budget, keptBuffer, thresholdBuffer, costsBuffer) {
    const [scores, kept, threshold] = [
      floats(scoresBuffer),
      floats(keptBuffer),
      floats(thresholdBuffer),
    ];
    const costs = costsBuffer ? floats(costsBuffer) : new Float64Array(scores.length).fill(1);
    const pruned = costs.reduce((sum, cost) => sum + cost, 0) - budget;
    threshold[0] = pruned > 0 ? scoreReaching(pruned, scores, costs) : NaN;
    for (let i = 0; i < kept.length; i++)
      kept[i] = pruned <= 0 || scores[i]! > threshold[0] ? 1 : 0;
  },

  applyMask(matrices) {
    for (const { rows, cols, columns, ...of } of matrices) {
      const [param, kept] = [floats(of.param), floats(of.kept)];
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) param[r * cols + c]! *= kept[columns ? c : r]!;
      }
    }
  },

  orthogonality(factors, norm, { weight, gradWeight }) {
    for (const factor of factors)
      floats(norm)[0]! += weight * residualNorm(factor, gradWeight * weight);
  },
};

/** ||P P^T - I||_F; adds coefficient times its derivative to the gradient. */
function residualNorm(of: OrthogonalFactor, coefficient: number): number {
  const { rank, width, columns } = of;
  const p = floats(of.factor);
  const at = columns
    ? (r: number, c: number) => c * rank + r
    : (r: number, c: number) => r * width + c;
  const residual = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j < rank; j++) {
      let sum = i === j ? -1 : 0;
      for (let c = 0; c < width; c++) sum += p[at(i, c)]! * p[at(j, c)]!;
      residual[i * rank + j] = sum;
    }
  }
  const norm = Math.sqrt(residual.reduce((sum, x) => sum + x * x, 0));
  if (!of.grad || norm === 0) return norm; // torch's subgradient of the norm at 0 is 0
  const grad = floats(of.grad);
  for (let i = 0; i < rank; i++) {
    for (let c = 0; c < width; c++) {
      let sum = 0;
      for (let j = 0; j < rank; j++) sum += residual[i * rank + j]! * p[at(j, c)]!;
      grad[at(i, c)]! += (coefficient * 2 * sum) / norm;
    }
  }
  return norm;
}

function updateImportance(param: Float64Array, grad: Float64Array, of: Importance): void {
  const { beta1, beta2 } = of;
  const [sensitivity, uncertainty] = [floats(of.sensitivity), floats(of.uncertainty)];
  for (let i = 0; i < param.length; i++) {
    const product = Math.abs(param[i]! * grad[i]!);
    sensitivity[i] = beta1 * sensitivity[i]! + (1 - beta1) * product;
    uncertainty[i] = beta2 * uncertainty[i]! + (1 - beta2) * Math.abs(product - sensitivity[i]!);
  }
}

/** The lowest score up to which the costs add up to at least `amount`; NaN is the highest. */
function scoreReaching(amount: number, scores: Float64Array, costs: Float64Array): number {
  const order = [...scores.keys()].toSorted((i, j) => compare(scores[i]!, scores[j]!));
  let sum = 0;
  const last = order.find((i) => (sum += costs[i]!) >= amount);
  return scores[last!]!;
}

/** The order of a typed array's sort: -0 before 0, NaN last. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  if (a !== b) return a < b ? -1 : 1;
  return Number(Object.is(b, -0)) - Number(Object.is(a, -0));
}
