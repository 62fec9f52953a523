import type { AttentionKernels } from "../../../core/kernels/attention.ts";
import type { Launcher } from "../launcher.ts";
import { chosenRowsKernels } from "./chosen-rows.ts";
import { disentangledKernels } from "./disentangled.ts";
import { multiHeadKernels } from "./multi-head.ts";

/** Attention of all three kinds. */
export const attentionKernels = (launcher: Launcher): AttentionKernels => ({
  ...multiHeadKernels(launcher),
  ...disentangledKernels(launcher),
  ...chosenRowsKernels(launcher),
});
