import type { TrainingKernels } from "../../../core/kernels/training.ts";
import type { Launcher } from "../launcher.ts";
import { allocatorKernels } from "./allocator.ts";
import { optimizerKernels } from "./optimizer.ts";
import { orthogonalityKernels } from "./orthogonality.ts";

/** The optimizer and AdaLoRA's budget allocation. */
export const trainingKernels = (launcher: Launcher): TrainingKernels => ({
  ...optimizerKernels(launcher),
  ...allocatorKernels(launcher),
  ...orthogonalityKernels(launcher),
});
