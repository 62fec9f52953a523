import {
  type AttentionInputs,
  type AttentionShape,
  longestSequence,
  type Sequences,
} from "../../../core/kernels/attention.ts";
import { elements, integers, type KernelType } from "../buffer.ts";
import { type Arg, blocksOf, f32, i32 } from "../launcher.ts";
import { dropoutArgs } from "./dropout.ts";

/** A window that no sequence exceeds, whose double an i32 holds. */
const WIDEST = 2 ** 29;

/** Elements of one call's operands. */
export function sizesOf({
  queries,
  keys,
  heads,
  keyHeads = heads,
  headDim,
  rowStride,
}: AttentionShape) {
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

/** Blocks of `size` rows for the longest sequence. */
export const blocksOfEach = (rows: Sequences, size: number) =>
  blocksOf(longestSequence(rows), size);

/** MULTI_HEAD_PARAMETERS and DROPOUT_PARAMETERS of a kernel with `blocks` blocks a sequence. */
export function shapeArgs(shape: AttentionShape, blocks: number): Arg[] {
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

/** q, k and v, or their gradients. */
export const operandsOf = (
  inputs: AttentionInputs,
  size: { readonly q: number; readonly k: number },
  type: KernelType,
) => [
  elements(inputs.q, size.q, type),
  elements(inputs.k, size.k, type),
  elements(inputs.v, size.k, type),
];
