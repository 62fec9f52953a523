import { type LossKernels, ignoredLabel } from "../../kernels/losses.ts";
import { floats, integers } from "./buffer.ts";

/** Losses with their gradients. */
export const lossKernels: LossKernels = {
  crossEntropy(logitsBuffer, labelsBuffer, lossBuffer, dlogitsBuffer, rows, classes) {
    const [logits, labels] = [floats(logitsBuffer), integers(labelsBuffer)];
    const [loss, dlogits] = [floats(lossBuffer), floats(dlogitsBuffer)];
    let total = 0;
    for (let r = 0; r < rows; r++) {
      const row = logits.subarray(r * classes, (r + 1) * classes);
      const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
      const sum = row.reduce((a, b) => a + Math.exp(b - top), 0);
      total += Math.log(sum) + top - row[labels[r]!]!;
      for (let c = 0; c < classes; c++) {
        dlogits[r * classes + c] =
          (Math.exp(row[c]! - top) / sum - (c === labels[r] ? 1 : 0)) / rows;
      }
    }
    loss[0] = total / rows;
  },

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

  meanSquaredError(predictionBuffer, targetBuffer, lossBuffer, dpredictionBuffer, rows) {
    const [prediction, target] = [floats(predictionBuffer), floats(targetBuffer)];
    const [loss, dprediction] = [floats(lossBuffer), floats(dpredictionBuffer)];
    let total = 0;
    for (let r = 0; r < rows; r++) {
      const difference = prediction[r]! - target[r]!;
      total += difference * difference;
      dprediction[r] = (2 * difference) / rows;
    }
    loss[0] = total / rows;
  },

  spanLoss(
    logitsBuffer,
    targetsBuffer,
    lossBuffer,
    dlogitsBuffer,
    { sequences, offsets, padding },
  ) {
    const [logits, dlogits] = [floats(logitsBuffer), floats(dlogitsBuffer)];
    const [targets, starts, pads] = [integers(targetsBuffer), integers(offsets), integers(padding)];
    dlogits.fill(0);
    let total = 0;
    for (const column of [0, 1]) {
      const target = (b: number) => targets[column * sequences + b]!;
      const counted = [...Array(sequences).keys()].filter((b) => target(b) >= 0);
      for (const b of counted) {
        const rows = Array.from({ length: starts[b + 1]! - starts[b]! }, (_, i) => ({
          row: starts[b]! + i,
          times: 1,
        }));
        if (pads[b]! >= 0) rows.push({ row: pads[b]!, times: pads[sequences + b]! });
        const at = (row: number) => logits[2 * row + column]!;
        const top = Math.max(...rows.map(({ row }) => at(row)));
        const sum = rows.reduce((s, { row, times }) => s + times * Math.exp(at(row) - top), 0);
        total += (Math.log(sum) + top - at(target(b))) / counted.length / 2;
        for (const { row, times } of rows) {
          const share = (times * Math.exp(at(row) - top)) / sum - (row === target(b) ? 1 : 0);
          dlogits[2 * row + column] = share / counted.length / 2;
        }
      }
      if (counted.length === 0) total = NaN;
    }
    floats(lossBuffer)[0] = total;
  },
};
