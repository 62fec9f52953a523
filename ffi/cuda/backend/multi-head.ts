import type { Backend } from "../../../core/backend.ts";
import type { AttentionShape, Sequences } from "../../../core/kernels/attention.ts";
import { elements, integers, optionalTarget, target, typeOf } from "../buffer.ts";
import { type Arg, blocksOf, f32, i32, type Launcher } from "../launcher.ts";
import { ATTENTION_BLOCK, BLOCK_ROWS, attentionShared, longestOf } from "./attention-blocks.ts";
import { dropoutArgs } from "./dropout.ts";

type MultiHead = Pick<Backend, "attention" | "attentionBackward">;

/** A window that no sequence exceeds, whose double an i32 holds. */
const WIDEST = 2 ** 29;

/** Elements of one call's operands. */
function sizesOf({ queries, keys, heads, keyHeads = heads, headDim, rowStride }: AttentionShape) {
  const [width, keyWidth] = [heads * headDim, keyHeads * headDim];
  const stored = (rows: number, columns: number) =>
    rows === 0 ? 0 : (rows - 1) * (rowStride ?? columns) + columns;
  return {
    q: stored(queries.tokens, width),
    k: stored(keys.tokens, keyWidth),
    out: queries.tokens * width,
    logSumExp: heads * queries.tokens,
  };
}

/** Blocks of rows of each sequence. */
const blocksOfEach = (rows: Sequences) => blocksOf(longestOf(rows), BLOCK_ROWS);

/** MULTI_HEAD_PARAMETERS and DROPOUT_PARAMETERS of a kernel whose blocks have rows of `rows`. */
function shapeArgs(shape: AttentionShape, rows: Sequences): Arg[] {
  const { queries, keys, heads, keyHeads = heads, headDim, scale, rowStride, window } = shape;
  return [
    integers(queries.offsets, queries.sequences + 1),
    integers(keys.offsets, keys.sequences + 1),
    i32(queries.tokens),
    i32(heads),
    i32(keyHeads),
    i32(headDim),
    i32(rowStride ?? heads * headDim),
    i32(rowStride ?? keyHeads * headDim),
    f32(1 / scale),
    i32(Number(shape.causal)),
    i32(window === undefined ? -1 : Math.min(window, WIDEST)),
    i32(blocksOfEach(rows)),
    ...dropoutArgs(shape.dropout),
  ];
}

/** kernels/multi-head.cu */
export function multiHeadKernels(launcher: Launcher): MultiHead {
  /** Starts a kernel with a warp for each row of `rows` and head. */
  function launch(
    kernel: string,
    rows: Sequences,
    heads: number,
    shape: AttentionShape,
    args: readonly Arg[],
  ): void {
    const grid = [rows.sequences * blocksOfEach(rows), heads] as const;
    const shared = attentionShared(shape.headDim);
    launcher.launch(kernel, grid, ATTENTION_BLOCK, shared, [...args, ...shapeArgs(shape, rows)]);
  }

  return {
    attention(inputs, { out, logSumExp }, shape) {
      const [type, size] = [typeOf(out), sizesOf(shape)];
      launch(`attention_${type}`, shape.queries, shape.heads, shape, [
        target(out, size.out, type),
        optionalTarget(logSumExp, size.logSumExp),
        elements(inputs.q, size.q, type),
        elements(inputs.k, size.k, type),
        elements(inputs.v, size.k, type),
      ]);
    },

    attentionBackward(dout, inputs, grads, shape) {
      const [type, size] = [typeOf(dout), sizesOf(shape)];
      const { queries, keys, heads, keyHeads = heads } = shape;
      const delta = launcher.scratch(size.logSumExp);
      const from = elements(dout, size.out, type);
      const logSumExp = elements(inputs.logSumExp, size.logSumExp, "f32");
      const operands = [
        elements(inputs.q, size.q, type),
        elements(inputs.k, size.k, type),
        elements(inputs.v, size.k, type),
      ];
      launch(`attention_queries_backward_${type}`, queries, heads, shape, [
        target(grads.q, size.q, type),
        delta,
        from,
        elements(inputs.out, size.out, type),
        logSumExp,
        ...operands,
      ]);
      launch(`attention_keys_backward_${type}`, keys, keyHeads, shape, [
        target(grads.k, size.k, type),
        target(grads.v, size.k, type),
        from,
        logSumExp,
        delta,
        ...operands,
      ]);
    },
  };
}
