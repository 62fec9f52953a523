import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { type Arg, each, f32, GROUP, type Scalar, u32 } from "../launcher.ts";

/** DROPOUT_PARAMETERS of kernels/dropout.h. Without dropout everything is kept, unscaled. */
export function dropoutArgs(dropout: Dropout | undefined): readonly Scalar[] {
  return dropout === undefined ? NONE : argsOf(dropout);
}

/** The same parameters of each matrix of a group. */
export function eachDropout(group: readonly { dropout?: Dropout | undefined }[]): readonly Arg[] {
  if (group.every(({ dropout }) => dropout === undefined)) return NONE_EACH;
  const args = group.map(({ dropout }) => dropoutArgs(dropout));
  return NONE.map((none, i) => each(args, (own) => own[i] ?? none));
}

function argsOf({ probability, seed, step, site }: Dropout): Scalar[] {
  const threshold = Math.floor(probability * 2 ** 32);
  const scale = 1 / (1 - probability);
  return [u32(threshold), f32(scale), u32(seed[0]), u32(seed[1]), u32(step), u32(site)];
}

const NONE = argsOf({ probability: 0, seed: [0, 0], step: 0, site: 0 });

/** NONE for as many matrices as there may be. */
const NONE_EACH: readonly Arg[] = NONE.map((none) => Array.from({ length: GROUP }, () => none));
