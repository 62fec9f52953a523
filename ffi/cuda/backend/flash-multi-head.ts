import type { Backend } from "../../../core/backend.ts";
import type { AttentionShape, Sequences } from "../../../core/kernels/attention.ts";
import { elements, optionalTarget, target } from "../buffer.ts";
import type { Arg, Launcher } from "../launcher.ts";
import { FLASH_BLOCK, flashDim, QUERY_SUMS_BYTES, TILE_ROWS, tileBytes } from "./flash.ts";
import { blocksOfEach, operandsOf, shapeArgs, sizesOf } from "./multi-head-shape.ts";

/**
 * Head sizes of the kernels, flash-multi-head.cu and flash-wide-heads.cu, with the roles of
 * backward's blocks: dq, dk and dv together or apart.
 */
const ROLES = new Map([
  [64, 2],
  [128, 3],
]);

/** The head size of the kernels that compute a call with activations of bf16; see flashDim. */
export const flashHead = ({ headDim }: AttentionShape) =>
  flashDim("bf16", headDim, [...ROLES.keys()]);

/** Starts a kernel with a block for each tile of the longest of `rows`, head and role. */
function launch(
  launcher: Launcher,
  kernel: string,
  { rows, roles }: { rows: readonly Sequences[]; roles: number },
  sharedBytes: number,
  shape: AttentionShape,
  args: readonly Arg[],
): void {
  const blocks = Math.max(...rows.map((each) => blocksOfEach(each, TILE_ROWS)));
  const grid = [shape.queries.sequences * blocks, shape.heads, roles] as const;
  launcher.launch(kernel, grid, FLASH_BLOCK, sharedBytes, [...args, ...shapeArgs(shape, blocks)]);
}

/** Attention in bf16 of heads that kernels of size `dim` hold. */
export function flashAttention(
  launcher: Launcher,
  dim: number,
  ...[inputs, { out, logSumExp }, shape]: Parameters<Backend["attention"]>
): void {
  const size = sizesOf(shape);
  const blocks = { rows: [shape.queries], roles: 1 };
  launch(launcher, `flash_attention_${dim}`, blocks, 3 * tileBytes(dim), shape, [
    target(out, size.out, "bf16"),
    optionalTarget(logSumExp, size.logSumExp),
    ...operandsOf(inputs, size, "bf16"),
  ]);
}

/** Its gradients, in one launch. */
export function flashAttentionBackward(
  launcher: Launcher,
  dim: number,
  ...[dout, inputs, grads, shape]: Parameters<Backend["attentionBackward"]>
): void {
  const size = sizesOf(shape);
  const blocks = { rows: [shape.queries, shape.keys], roles: ROLES.get(dim) ?? 0 };
  const shared = 6 * tileBytes(dim) + 2 * QUERY_SUMS_BYTES;
  launch(launcher, `flash_attention_backward_${dim}`, blocks, shared, shape, [
    target(grads.q, size.q, "bf16"),
    target(grads.k, size.k, "bf16"),
    target(grads.v, size.k, "bf16"),
    elements(dout, size.out, "bf16"),
    elements(inputs.out, size.out, "bf16"),
    elements(inputs.logSumExp, size.logSumExp, "f32"),
    ...operandsOf(inputs, size, "bf16"),
  ]);
}
