import type { DecodingKernels } from "../../../core/kernels/decoding.ts";
import type { Buffer } from "../../../core/kernels/memory.ts";
import { floats, optionalIntegers, target } from "../buffer.ts";
import { f32, i32, type Launcher } from "../launcher.ts";
import { launchRows } from "./launches.ts";

/** A list of (row, class) pairs and its length. */
function pairs(list: Buffer | undefined) {
  const count = list?.length ?? 0;
  return [optionalIntegers(list, count), i32(count / 2)];
}

/** kernels/top-log-probabilities.cu */
export function decodingKernels(launcher: Launcher): DecodingKernels {
  return {
    topLogProbabilities(logits, bias, out, shape) {
      const { rows, classes, count, banned, repeated, penalty, normalise } = shape;
      launchRows(launcher, "top_log_probabilities", rows, [
        target(logits, rows * classes),
        floats(bias, classes),
        target(out.scores, rows * count),
        target(out.ids, rows * count, "i32"),
        i32(classes),
        i32(count),
        ...pairs(banned),
        ...pairs(repeated),
        f32(penalty),
        i32(Number(normalise === "after")),
      ]);
    },
  };
}
