import type { Buffer } from "../backend.ts";
import type { SpanShape } from "../kernels/losses.ts";
import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";

/**
 * loss = mean over rows of -log softmax(logits)[label]. logits: [B, L]; labels: [B], integers below
 * L; loss: [1]. One pass computes loss and gradient; backward only scales the saved gradient.
 */
export const crossEntropy = defineOp({
  name: "crossEntropy",
  inputs: { logits: "required" },

  forward(pass, { logits }, { labels }: { labels: Buffer }) {
    const [rows, classes] = [logits.shape[0] ?? 0, logits.shape[1] ?? 0];
    if (labels.length !== rows) {
      const got = { logits, labels: { shape: [labels.length] } };
      throw errors.shape("crossEntropy", "each row of logits needs one label", got);
    }
    const out = pass.allocateMaster(1);
    const dlogits = pass.allocate(rows * classes);
    pass.backend.crossEntropy(logits.buffer, labels, out, dlogits, rows, classes);
    return { shape: [1], out, saved: { dlogits }, keep: [dlogits] };
  },

  backward: (pass, dloss, { dlogits }, { logits }) => {
    pass.backend.scaleBy(dlogits, dloss, dlogits);
    logits.give(dlogits);
  },
});

/** loss = mean over rows of (prediction - target)^2. prediction: [B, 1], target: [B]; loss: [1]. */
export const meanSquaredError = defineOp({
  name: "meanSquaredError",
  inputs: { prediction: "required" },

  forward(pass, { prediction }, { target }: { target: Buffer }) {
    const rows = prediction.shape[0] ?? 0;
    if (prediction.shape[1] !== 1 || target.length !== rows) {
      const got = { prediction, target: { shape: [target.length] } };
      throw errors.shape("meanSquaredError", "prediction must be [B, 1] for a target of [B]", got);
    }
    const out = pass.allocateMaster(1);
    const dprediction = pass.allocate(rows);
    pass.backend.meanSquaredError(prediction.buffer, target, out, dprediction, rows);
    return { shape: [1], out, saved: { dprediction }, keep: [dprediction] };
  },

  backward: (pass, dloss, { dprediction }, { prediction }) => {
    pass.backend.scaleBy(dprediction, dloss, dprediction);
    prediction.give(dprediction);
  },
});

/**
 * loss = mean of the cross entropies of start and end over each sequence's positions, padding
 * included. logits: [rows, 2]; targets: [2, B], rows or -1; loss: [1].
 */
export const spanLoss = defineOp({
  name: "spanLoss",
  inputs: { logits: "required" },

  forward(pass, { logits }, { targets, shape }: { targets: Buffer; shape: SpanShape }) {
    if (logits.shape[0] !== shape.rows || logits.shape[1] !== 2) {
      throw errors.shape("spanLoss", `logits must be [${shape.rows}, 2]`, { logits });
    }
    const out = pass.allocateMaster(1);
    const dlogits = pass.allocate(2 * shape.rows);
    pass.backend.spanLoss(logits.buffer, targets, out, dlogits, shape);
    return { shape: [1], out, saved: { dlogits }, keep: [dlogits] };
  },

  backward: (pass, dloss, { dlogits }, { logits }) => {
    pass.backend.scaleBy(dlogits, dloss, dlogits);
    logits.give(dlogits);
  },
});
