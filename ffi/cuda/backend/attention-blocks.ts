import { invariant } from "../../../core/errors.ts";
import { WARP } from "./launches.ts";

/** Rows that a block of kernels/attention.h computes, a warp each. */
export const BLOCK_ROWS = 8;

/** Threads of such a block. */
export const ATTENTION_BLOCK = BLOCK_ROWS * WARP;

/** CHUNKS of kernels/attention.h: columns of a head that each lane can sum. */
const CHUNKS = 8;

/** Rows of each warp's weights in shared memory: of the kernel with the most. */
const WEIGHTS = 3;

/** Bytes of shared memory of a kernel's block: `space_at` in the kernels. */
export function attentionShared(headDim: number): number {
  const most = CHUNKS * WARP;
  invariant(headDim <= most, `a cuda kernel got heads of ${headDim}, expected at most ${most}`);
  const pitch = headDim | 1;
  return 4 * (2 * WARP * pitch + BLOCK_ROWS * (2 * headDim + WEIGHTS * WARP));
}
