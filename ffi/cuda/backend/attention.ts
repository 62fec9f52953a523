import type { AttentionKernels } from "../../../core/kernels/attention.ts";
import type { Launcher } from "../launcher.ts";
import { chosenRowsKernels } from "./chosen-rows.ts";
import { disentangledKernels } from "./disentangled.ts";
import { multiHeadKernels } from "./multi-head.ts";

/** Attention of all three kinds; `scratch`: most floats of it in a call, 2^24 by default. */
export const attentionKernels = (launcher: Launcher, scratch?: number): AttentionKernels => ({
  ...multiHeadKernels(launcher),
  ...disentangledKernels(launcher, scratch),
  ...chosenRowsKernels(launcher),
});
