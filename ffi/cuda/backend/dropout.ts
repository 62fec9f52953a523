import type { Dropout } from "../../../core/kernels/elementwise.ts";
import type { GroupedArguments } from "../arguments.ts";
import { f32, type Scalar, u32 } from "../launcher.ts";

/** DROPOUT_PARAMETERS of kernels/dropout.h. Without dropout everything is kept, unscaled. */
export function dropoutArgs(dropout: Dropout | undefined): readonly Scalar[] {
  return dropout === undefined ? NONE : argsOf(dropout);
}

/** The same parameters of each matrix of a group. */
export const EACH_DROPOUT = {
  threshold: "each int",
  keptScale: "each float",
  key0: "each int",
  key1: "each int",
  step: "each int",
  site: "each int",
} as const;

/** Writes them for matrix `i`. */
export function writeDropout(
  args: GroupedArguments<keyof typeof EACH_DROPOUT>,
  i: number,
  dropout: Dropout | undefined,
): void {
  const { at } = args;
  args.int(at.threshold, i, dropout === undefined ? 0 : thresholdOf(dropout));
  args.float(at.keptScale, i, dropout === undefined ? 1 : scaleOf(dropout));
  if (dropout === undefined) return; // nothing is drawn
  const { seed, step, site } = dropout;
  args.int(at.key0, i, seed[0]);
  args.int(at.key1, i, seed[1]);
  args.int(at.step, i, step);
  args.int(at.site, i, site);
}

const thresholdOf = ({ probability }: Dropout) => Math.floor(probability * 2 ** 32);

/** The factor of what is kept. */
const scaleOf = ({ probability }: Dropout) => 1 / (1 - probability);

function argsOf(dropout: Dropout): Scalar[] {
  const { seed, step, site } = dropout;
  const drawn = [u32(seed[0]), u32(seed[1]), u32(step), u32(site)];
  return [u32(thresholdOf(dropout)), f32(scaleOf(dropout)), ...drawn];
}

const NONE = argsOf({ probability: 0, seed: [0, 0], step: 0, site: 0 });
