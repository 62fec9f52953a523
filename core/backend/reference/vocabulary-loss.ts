import { type Backend, ignoredLabel } from "../../backend.ts";
import { floats, integers } from "./buffer.ts";

type VocabularyLoss = Pick<Backend, "addVocabularyLoss">;

export const vocabularyLoss: VocabularyLoss = {
  addVocabularyLoss(logitsBuffer, biasBuffer, labelsBuffer, lossBuffer, dlogitsBuffer, shape) {
    const { rows, classes, smoothing, weight } = shape;
    const [logits, bias, labels] = [
      floats(logitsBuffer),
      floats(biasBuffer),
      integers(labelsBuffer),
    ];
    const loss = floats(lossBuffer);
    const dlogits = dlogitsBuffer && floats(dlogitsBuffer);
    for (let r = 0; r < rows; r++) {
      const label = labels[r]!;
      if (label === ignoredLabel) {
        dlogits?.fill(0, r * classes, (r + 1) * classes);
        continue;
      }
      const row = logits.slice(r * classes, (r + 1) * classes).map((x, c) => x + bias[c]!);
      const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
      const sum = row.reduce((total, x) => total + Math.exp(x - top), 0);
      const mean = row.reduce((total, x) => total + x, 0) / classes;
      const expected = (1 - smoothing) * row[label]! + smoothing * mean;
      loss[0]! += weight * (top + Math.log(sum) - expected);
      if (!dlogits) continue;
      for (let c = 0; c < classes; c++) {
        const target = (c === label ? 1 - smoothing : 0) + smoothing / classes;
        dlogits[r * classes + c] = weight * (Math.exp(row[c]! - top) / sum - target);
      }
    }
  },
};
