import type { Backend } from "../../../core/backend.ts";
import type { AttentionShape, Sequences } from "../../../core/kernels/attention.ts";
import { elements, optionalTarget, target, typeOf } from "../buffer.ts";
import type { Arg, Launcher } from "../launcher.ts";
import { ATTENTION_BLOCK, BLOCK_ROWS, attentionShared } from "./attention-blocks.ts";
import { flashAttention, flashAttentionBackward, flashHead } from "./flash-multi-head.ts";
import { blocksOfEach, operandsOf, shapeArgs, sizesOf } from "./multi-head-shape.ts";

type MultiHead = Pick<Backend, "attention" | "attentionBackward">;

/** Starts a kernel of multi-head.cu with a warp for each row of `rows` and head. */
function launch(
  launcher: Launcher,
  kernel: string,
  { rows, heads }: { rows: Sequences; heads: number },
  shape: AttentionShape,
  args: readonly Arg[],
): void {
  const blocks = blocksOfEach(rows, BLOCK_ROWS);
  const grid = [rows.sequences * blocks, heads] as const;
  const shared = attentionShared(shape.headDim);
  launcher.launch(kernel, grid, ATTENTION_BLOCK, shared, [...args, ...shapeArgs(shape, blocks)]);
}

/** kernels/flash-multi-head.cu in bf16, kernels/multi-head.cu otherwise and for wider heads. */
export const multiHeadKernels = (launcher: Launcher): MultiHead => ({
  attention(inputs, results, shape) {
    const [type, size] = [typeOf(results.out), sizesOf(shape)];
    const dim = type === "bf16" ? flashHead(shape) : undefined;
    if (dim !== undefined) {
      flashAttention(launcher, dim, inputs, results, shape);
      return;
    }
    const queries = { rows: shape.queries, heads: shape.heads };
    launch(launcher, `attention_${type}`, queries, shape, [
      target(results.out, size.out, type),
      optionalTarget(results.logSumExp, size.logSumExp),
      ...operandsOf(inputs, size, type),
    ]);
  },

  attentionBackward(dout, inputs, grads, shape) {
    const [type, size] = [typeOf(dout), sizesOf(shape)];
    const dim = type === "bf16" ? flashHead(shape) : undefined;
    if (dim !== undefined) {
      flashAttentionBackward(launcher, dim, dout, inputs, grads, shape);
      return;
    }
    const { heads, keyHeads = heads } = shape;
    const delta = launcher.scratch(size.logSumExp);
    const from = elements(dout, size.out, type);
    const logSumExp = elements(inputs.logSumExp, size.logSumExp, "f32");
    const operands = operandsOf(inputs, size, type);
    const queries = { rows: shape.queries, heads };
    launch(launcher, `attention_queries_backward_${type}`, queries, shape, [
      target(grads.q, size.q, type),
      delta,
      from,
      elements(inputs.out, size.out, type),
      logSumExp,
      ...operands,
    ]);
    const keys = { rows: shape.keys, heads: keyHeads };
    launch(launcher, `attention_keys_backward_${type}`, keys, shape, [
      target(grads.k, size.k, type),
      target(grads.v, size.k, type),
      from,
      logSumExp,
      delta,
      ...operands,
    ]);
  },
});
