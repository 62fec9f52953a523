import type { Backend, Buffer } from "../../../core/backend.ts";
import { floats, integers, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, P } from "./kernels.ts";

/** kernels/top-log-probabilities.c: logits are floats whatever activations are, so that there is one kind. */
export const TOP_KERNELS = {
  adl_top_log_probabilities: { args: [P, P, P, P, L, L, I, P, L, P, L, F, I], returns: I },
} as const;

/** Address of all of a list of pairs, NULL for an absent one. */
const optionalPairs = (pairs: Buffer | undefined) =>
  pairs === undefined ? null : integers(pairs, pairs.length);

const pairCount = (pairs: Buffer | undefined) => (pairs?.length ?? 0) / 2;

export function topLogProbabilities({ library }: CpuContext): Pick<Backend, "topLogProbabilities"> {
  const kernels = openKernels(library, TOP_KERNELS, "f32");
  return {
    topLogProbabilities(logits, bias, out, shape) {
      const { rows, classes, count, banned, repeated, penalty, normalise } = shape;
      kernels.adl_top_log_probabilities(
        target(logits, rows * classes),
        floats(bias, classes),
        target(out.scores, rows * count),
        integers(out.ids, rows * count),
        rows,
        classes,
        count,
        optionalPairs(banned),
        pairCount(banned),
        optionalPairs(repeated),
        pairCount(repeated),
        penalty,
        Number(normalise === "after"),
      );
    },
  };
}
