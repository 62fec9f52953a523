import type { Backend, Buffer } from "../../../core/backend.ts";
import { floats, integers, optionalIntegers, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, L, openKernels, P } from "./kernels.ts";
import { pack, struct } from "./struct.ts";

/** kernels/top-log-probabilities.c, f32 only: logits are floats over either activation type. */
export const TOP_KERNELS = {
  adl_top_log_probabilities: { args: [P], returns: I },
} as const;

/** top_log_probabilities_args of kernels/arguments.h */
export const TOP_ARGS = struct({
  logits: P,
  bias: P,
  scores: P,
  ids: P,
  rows: L,
  classes: L,
  count: L,
  banned: P,
  repeated: P,
  bans: L,
  repeats: L,
  penalty: F,
  after: I,
});

/** Address of a list of pairs, NULL for an absent one. */
const optionalPairs = (pairs: Buffer | undefined) => optionalIntegers(pairs, pairs?.length ?? 0);

const pairCount = (pairs: Buffer | undefined) => (pairs?.length ?? 0) / 2;

/** The entry that selects the most probable classes. */
export function topLogProbabilities({ library }: CpuContext): Pick<Backend, "topLogProbabilities"> {
  const kernels = openKernels(library, TOP_KERNELS, "f32");
  return {
    topLogProbabilities(logits, bias, out, shape) {
      const { rows, classes, count, banned, repeated, penalty, normalise } = shape;
      kernels.adl_top_log_probabilities(
        pack(TOP_ARGS, {
          logits: target(logits, rows * classes),
          bias: floats(bias, classes),
          scores: target(out.scores, rows * count),
          ids: integers(out.ids, rows * count),
          rows,
          classes,
          count,
          penalty,
          banned: optionalPairs(banned),
          bans: pairCount(banned),
          repeated: optionalPairs(repeated),
          repeats: pairCount(repeated),
          after: Number(normalise === "after"),
        }),
      );
    },
  };
}
