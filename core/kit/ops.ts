/** The differentiable operations of a plugin's model. */
export { activation } from "../ops/activation.ts";
export { addDropout } from "../ops/add-dropout.ts";
export { addLayerNorm } from "../ops/add-layer-norm.ts";
export { appendZeroRows, concatRows, firstRows } from "../ops/append-zero-rows.ts";
export { attendChosenRows } from "../ops/attend-chosen-rows.ts";
export { attention } from "../ops/attention.ts";
export { disentangledAttention } from "../ops/disentangled-attention.ts";
export { dropout } from "../ops/dropout.ts";
export { embedding } from "../ops/embedding.ts";
export { gatedActivation } from "../ops/gated-activation.ts";
export { gatherRows } from "../ops/gather-rows.ts";
export { linear } from "../ops/linear.ts";
export { meanRows } from "../ops/mean-rows.ts";
export { rmsNorm } from "../ops/rms-norm.ts";
export { rotate } from "../ops/rotate.ts";
export { selfAttention } from "../ops/self-attention.ts";
export { unfold } from "../ops/unfold.ts";
export { vocabularyLoss } from "../ops/vocabulary-loss.ts";
