/** The modules of a plugin's model. */
export { Linear } from "../nn/linear.ts";
export { uploadPacking } from "../nn/packed-batch.ts";
export { type Rotary, uploadRotary } from "../nn/rotary.ts";
