import type { LossKernels } from "../../../core/kernels/losses.ts";
import { elements, floats, integers, optionalTarget, target, typeOf } from "../buffer.ts";
import { type Arg, f32, i32, type Launcher } from "../launcher.ts";
import { launchRows } from "./launches.ts";

/** kernels/losses.cu and kernels/vocabulary-loss.cu */
export function lossKernels(launcher: Launcher): LossKernels {
  /** One block, so that it can sum over all rows. */
  const launch = (kernel: string, args: Arg[]) => launchRows(launcher, kernel, 1, args);

  return {
    crossEntropy(logits, labels, loss, dlogits, rows, classes) {
      const [n, type] = [rows * classes, typeOf(logits)];
      const [from, to] = [elements(logits, n, type), target(dlogits, n, type)];
      const args = [from, integers(labels, rows), target(loss, 1), to, i32(rows), i32(classes)];
      launch(`cross_entropy_${type}`, args);
    },

    addVocabularyLoss(logits, bias, labels, loss, dlogits, { rows, classes, smoothing, weight }) {
      const [n, type] = [rows * classes, dlogits === undefined ? "f32" : typeOf(dlogits)];
      if (rows === 0) return;
      const losses = launcher.scratch(rows);
      launchRows(launcher, `vocabulary_loss_${type}`, rows, [
        floats(logits, n),
        floats(bias, classes),
        integers(labels, rows),
        losses,
        optionalTarget(dlogits, n, type),
        i32(classes),
        f32(smoothing),
        f32(weight),
      ]);
      launch("add_losses", [losses, target(loss, 1), i32(rows)]);
    },

    meanSquaredError(prediction, expected, loss, dprediction, rows) {
      const type = typeOf(prediction);
      const [from, to] = [elements(prediction, rows, type), target(dprediction, rows, type)];
      const args = [from, floats(expected, rows), target(loss, 1), to, i32(rows)];
      launch(`mean_squared_error_${type}`, args);
    },

    spanLoss(logits, targets, loss, dlogits, { sequences, rows, offsets, padding }) {
      const type = typeOf(logits);
      launch(`span_loss_${type}`, [
        elements(logits, 2 * rows, type),
        integers(targets, 2 * sequences),
        target(loss, 1),
        target(dlogits, 2 * rows, type),
        i32(sequences),
        i32(rows),
        integers(offsets, sequences + 1),
        integers(padding, 2 * sequences),
      ]);
    },
  };
}
