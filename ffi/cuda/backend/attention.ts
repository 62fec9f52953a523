import type { AttentionKernels } from "../../../core/kernels/attention.ts";
import type { KernelType } from "../buffer.ts";
import type { Launcher } from "../launcher.ts";
import { chosenRowsKernels } from "./chosen-rows.ts";
import { disentangledKernels } from "./disentangled.ts";
import { multiHeadKernels } from "./multi-head.ts";

/**
 * Attention of all three kinds, of activations of type `activation`. `scratch`: the most floats of
 * scratch in a call, 2^24 by default.
 */
export const attentionKernels = (
  launcher: Launcher,
  activation: KernelType,
  scratch?: number,
): AttentionKernels => ({
  ...multiHeadKernels(launcher),
  ...disentangledKernels(launcher, activation, scratch),
  ...chosenRowsKernels(launcher),
});
