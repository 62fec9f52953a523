import type { Backend } from "../../../core/backend.ts";
import type {
  AttentionInputs,
  AttentionShape,
  Sequences,
} from "../../../core/kernels/attention.ts";
import { elements, integers, type KernelType, optionalTarget, target, typeOf } from "../buffer.ts";
import { type Arg, blocksOf, f32, i32, type Launcher } from "../launcher.ts";
import { ATTENTION_BLOCK, BLOCK_ROWS, attentionShared, longestOf } from "./attention-blocks.ts";
import { dropoutArgs } from "./dropout.ts";
import { FLASH_BLOCK, flashDim, QUERY_SUMS_BYTES, TILE_ROWS, tileBytes } from "./flash.ts";

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

/** Head sizes of the kernels of kernels/flash-multi-head.cu. */
const FLASH_DIMS = [64, 128];

/** Blocks of rows of each sequence. */
const blocksOfEach = (rows: Sequences, ofBlock = BLOCK_ROWS) => blocksOf(longestOf(rows), ofBlock);

/** MULTI_HEAD_PARAMETERS and DROPOUT_PARAMETERS of a kernel with `blocks` blocks a sequence. */
function shapeArgs(shape: AttentionShape, blocks: number): Arg[] {
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
    i32(blocks),
    ...dropoutArgs(shape.dropout),
  ];
}

/** q, k and v. */
const operandsOf = (inputs: AttentionInputs, size: { q: number; k: number }, type: KernelType) => [
  elements(inputs.q, size.q, type),
  elements(inputs.k, size.k, type),
  elements(inputs.v, size.k, type),
];

/** kernels/flash-multi-head.cu in bf16, kernels/multi-head.cu otherwise and for wider heads. */
export function multiHeadKernels(launcher: Launcher): MultiHead {
  /** Starts a kernel with a warp for each row of `rows` and head. */
  function launch(
    kernel: string,
    rows: Sequences,
    heads: number,
    shape: AttentionShape,
    args: readonly Arg[],
  ): void {
    const blocks = blocksOfEach(rows);
    const grid = [rows.sequences * blocks, heads] as const;
    const shared = attentionShared(shape.headDim);
    launcher.launch(kernel, grid, ATTENTION_BLOCK, shared, [...args, ...shapeArgs(shape, blocks)]);
  }

  /** Starts a tensor-core kernel with a block for each tile of the longest of `rows` and head. */
  function launchFlash(
    kernel: string,
    rows: readonly Sequences[],
    roles: number,
    shape: AttentionShape,
    sharedBytes: number,
    args: readonly Arg[],
  ): void {
    const blocks = Math.max(...rows.map((each) => blocksOfEach(each, TILE_ROWS)));
    const grid = [shape.queries.sequences * blocks, shape.heads, roles] as const;
    launcher.launch(kernel, grid, FLASH_BLOCK, sharedBytes, [...args, ...shapeArgs(shape, blocks)]);
  }

  return {
    attention(inputs, { out, logSumExp }, shape) {
      const [type, size] = [typeOf(out), sizesOf(shape)];
      const args = [
        target(out, size.out, type),
        optionalTarget(logSumExp, size.logSumExp),
        ...operandsOf(inputs, size, type),
      ];
      const dim = flashDim(type, shape.headDim, FLASH_DIMS);
      if (dim === undefined) launch(`attention_${type}`, shape.queries, shape.heads, shape, args);
      else
        launchFlash(`flash_attention_${dim}`, [shape.queries], 1, shape, 3 * tileBytes(dim), args);
    },

    attentionBackward(dout, inputs, grads, shape) {
      const [type, size] = [typeOf(dout), sizesOf(shape)];
      const { queries, keys, heads, keyHeads = heads } = shape;
      const from = elements(dout, size.out, type);
      const out = elements(inputs.out, size.out, type);
      const logSumExp = elements(inputs.logSumExp, size.logSumExp, "f32");
      const operands = operandsOf(inputs, size, type);
      const [dq, dk, dv] = operandsOf(grads, size, type).map((each) => target(each, 0, type));
      const dim = flashDim(type, shape.headDim, FLASH_DIMS);
      if (dim !== undefined) {
        const shared = 6 * tileBytes(dim) + 2 * QUERY_SUMS_BYTES;
        const args = [dq, dk, dv, from, out, logSumExp, ...operands];
        const roles = dim === FLASH_DIMS[0] ? 2 : 3;
        const kernel = `flash_attention_backward_${dim}`;
        launchFlash(kernel, [queries, keys], roles, shape, shared, args);
        return;
      }
      const delta = launcher.scratch(size.logSumExp);
      launch(`attention_queries_backward_${type}`, queries, heads, shape, [
        dq,
        delta,
        from,
        out,
        logSumExp,
        ...operands,
      ]);
      launch(`attention_keys_backward_${type}`, keys, keyHeads, shape, [
        dk,
        dv,
        from,
        logSumExp,
        delta,
        ...operands,
      ]);
    },
  };
}
