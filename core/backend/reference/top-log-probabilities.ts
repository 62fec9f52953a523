import type { Buffer } from "../../backend.ts";
import type { DecodingKernels } from "../../kernels/decoding.ts";
import { floats, integers } from "./buffer.ts";

const logSumExp = (row: Float64Array) => {
  const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const top = largest === -Infinity ? 0 : largest;
  return top + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
};

/** The classes of row `r` in a list of (row, class) pairs. */
function classesOf(pairs: Buffer | undefined, r: number): number[] {
  const all = pairs ? integers(pairs) : [];
  const found: number[] = [];
  for (let i = 0; i < all.length; i += 2) if (all[i] === r) found.push(all[i + 1]!);
  return found;
}

/** The choice of the next token, by sorting whole rows. */
export const decodingKernels: DecodingKernels = {
  topLogProbabilities(logitsBuffer, biasBuffer, out, shape) {
    const { rows, classes, count, banned, repeated, penalty, normalise } = shape;
    const [logits, bias] = [floats(logitsBuffer), floats(biasBuffer)];
    const [ids, scores] = [integers(out.ids), floats(out.scores)];
    for (let r = 0; r < rows; r++) {
      let row = logits.slice(r * classes, (r + 1) * classes).map((x, c) => x + bias[c]!);
      const normal = () => {
        const sum = logSumExp(row);
        return sum === -Infinity ? row : row.map((x) => x - sum);
      };
      if (normalise === "before") row = normal();
      for (const c of classesOf(repeated, r))
        row[c] = row[c]! < 0 ? row[c]! * penalty : row[c]! / penalty;
      for (const c of classesOf(banned, r)) row[c] = -Infinity;
      if (normalise === "after") row = normal();
      const hasNaN = row.includes(Number.NaN);
      const remaining = hasNaN ? [] : Array.from(row.keys()).filter((c) => row[c]! !== -Infinity);
      const best = remaining.toSorted((a, b) => row[b]! - row[a]! || a - b);
      for (let i = 0; i < count; i++) {
        const c = best[i];
        ids[r * count + i] = c ?? -1;
        scores[r * count + i] = c === undefined ? (hasNaN ? Number.NaN : -Infinity) : row[c]!;
      }
    }
    logits.fill(NaN); // exposes a caller that reads them afterwards
  },
};
