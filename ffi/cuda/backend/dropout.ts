import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { type Arg, each, f32, type Scalar, u32 } from "../launcher.ts";

/** DROPOUT_PARAMETERS of kernels/dropout.h. Without dropout everything is kept, unscaled. */
export function dropoutArgs(dropout: Dropout | undefined): Scalar[] {
  const { probability, seed, step, site } = dropout ?? NONE;
  const threshold = Math.floor(probability * 2 ** 32);
  const scale = 1 / (1 - probability);
  return [u32(threshold), f32(scale), u32(seed[0]), u32(seed[1]), u32(step), u32(site)];
}

const NONE: Dropout = { probability: 0, seed: [0, 0], step: 0, site: 0 };

/** The same parameters of each matrix of a group. */
export function eachDropout(group: readonly { dropout?: Dropout | undefined }[]): Arg[] {
  const args = group.map(({ dropout }) => dropoutArgs(dropout));
  return dropoutArgs(undefined).map((none, i) => each(args, (own) => own[i] ?? none));
}
