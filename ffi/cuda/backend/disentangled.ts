import type { Backend, Buffer } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";
import type { DisentangledInputs, DisentangledShape } from "../../../core/kernels/attention.ts";
import {
  CudaBuffer,
  elements,
  integers,
  type KernelType,
  optionalElements,
  optionalIntegers,
  optionalTarget,
  target,
  typeOf,
} from "../buffer.ts";
import { type Arg, blocksOf, f32, i32, type Launcher } from "../launcher.ts";
import { ATTENTION_BLOCK, attentionShared, BLOCK_ROWS, longestOf } from "./attention-blocks.ts";
import { dropoutArgs } from "./dropout.ts";
import { WARP } from "./launches.ts";

type Disentangled = Pick<
  Backend,
  "disentangledSaved" | "disentangledAttention" | "disentangledAttentionBackward"
>;

/** Most floats of scratch for backward; it treats as many heads at a time as fit. */
const SCRATCH = 2 ** 23;

/** Rows of q and out; each sequence has a row even without tokens when queries are first tokens. */
const queryRowsOf = ({ packing, queries }: DisentangledShape) =>
  queries === "first" ? packing.sequences : packing.tokens;

/** What forward saves for backward: the log-sum-exp of each head's and query's scores. */
const savedLength = (shape: DisentangledShape) => shape.heads * queryRowsOf(shape);

/** Element counts of one call's operands. */
function sizesOf(shape: DisentangledShape) {
  const { packing, heads, headDim, relativeRows } = shape;
  const width = heads * headDim;
  return {
    keys: packing.tokens * width,
    queries: queryRowsOf(shape) * width,
    positions: relativeRows * width,
  };
}

/** q, k and v. */
function contentArgs(inputs: DisentangledInputs, shape: DisentangledShape, type: KernelType) {
  const { queries, keys } = sizesOf(shape);
  return [
    elements(inputs.q, queries, type),
    elements(inputs.k, keys, type),
    elements(inputs.v, keys, type),
  ] as const;
}

/** posKey and posQuery. */
function positionArgs(
  { posKey, posQuery }: DisentangledInputs,
  shape: DisentangledShape,
  type: KernelType,
) {
  const { positions } = sizesOf(shape);
  return [
    optionalElements(posKey, positions, type),
    optionalElements(posQuery, positions, type),
  ] as const;
}

/** DISENTANGLED_PARAMETERS, for blocks of `blocks` a sequence and heads from `firstHead` on. */
function shapeArgs(shape: DisentangledShape, blocks: number, firstHead: number): Arg[] {
  const { packing, queries, heads, headDim, scale, relative } = shape;
  const { sequences, tokens, offsets, positions, span } = packing;
  return [
    integers(offsets, sequences + 1),
    integers(positions, tokens),
    optionalIntegers(relative, 2 * span - 1),
    i32(span),
    i32(tokens),
    i32(heads),
    i32(headDim),
    i32(Number(queries === "first")),
    f32(1 / scale),
    i32(blocks),
    i32(firstHead),
  ];
}

/** Heads whose scratch is in use together: those from `first` on. */
interface HeadGroup {
  readonly first: number;
  readonly count: number;
  /** PAIRS_PARAMETERS of kernels/disentangled.cu. */
  readonly pairs: readonly Arg[];
}

/** A part of `scratch`. */
const partOf = ({ dtype, pointer }: CudaBuffer, offset: number, length: number) =>
  new CudaBuffer(dtype, length, pointer + 4 * offset);

/** kernels/disentangled.cu */
export function disentangledKernels(launcher: Launcher): Disentangled {
  /** Blocks of each sequence's queries, and of its keys. */
  function blocksOfEach({ packing, queries }: DisentangledShape) {
    const ofKeys = blocksOf(longestOf(packing), BLOCK_ROWS);
    return { ofKeys, ofQueries: queries === "first" ? 1 : ofKeys };
  }

  /** Splits the heads into groups whose scratch fits. */
  function headGroups(shape: DisentangledShape): HeadGroup[] {
    const [rows, longest] = [queryRowsOf(shape), longestOf(shape.packing)];
    const ofHead = rows * longest;
    const most = Math.max(1, Math.min(shape.heads, Math.floor(SCRATCH / (2 * ofHead || 1))));
    const half = most * ofHead;
    const space = launcher.scratch(Math.max(1, 2 * half));
    const pairs = [partOf(space, 0, half), partOf(space, half, half), i32(rows), i32(longest)];
    return Array.from({ length: blocksOf(shape.heads, most) }, (_, i) => ({
      first: i * most,
      count: Math.min(most, shape.heads - i * most),
      pairs,
    }));
  }

  /** Starts a kernel with a warp for each row of the sequences and each of some heads. */
  function launch(
    kernel: string,
    shape: DisentangledShape,
    blocks: number,
    heads: number,
    args: readonly Arg[],
  ): void {
    const grid = [shape.packing.sequences * blocks, heads] as const;
    launcher.launch(kernel, grid, ATTENTION_BLOCK, attentionShared(shape.headDim), args);
  }

  return {
    disentangledSaved: (shape) => ({ dtype: "f32", length: savedLength(shape), readsOut: true }),

    disentangledAttention(inputs, { out, saved }, shape) {
      const type = typeOf(out);
      const blocks = blocksOfEach(shape).ofQueries;
      launch(`disentangled_${type}`, shape, blocks, shape.heads, [
        target(out, sizesOf(shape).queries, type),
        optionalTarget(saved, savedLength(shape)),
        i32(queryRowsOf(shape)),
        ...contentArgs(inputs, shape, type),
        ...positionArgs(inputs, shape, type),
        ...shapeArgs(shape, blocks, 0),
        ...dropoutArgs(shape.dropout),
      ]);
    },

    disentangledAttentionBackward(dout, inputs, { saved, out }, grads, shape) {
      invariant(out !== undefined, "backward reads the forward pass' out");
      const call = { dout, inputs, saved, out, grads, shape, type: typeOf(dout) };
      for (const group of headGroups(shape)) {
        queriesBackward(call, group);
        keysBackward(call, group);
        positionsBackward(call, group);
      }
    },
  };

  interface Call {
    readonly dout: Buffer;
    readonly inputs: DisentangledInputs;
    readonly saved: Buffer;
    readonly out: Buffer;
    readonly grads: DisentangledInputs;
    readonly shape: DisentangledShape;
    readonly type: KernelType;
  }

  /** Sets dq, and the scratch that the others read. */
  function queriesBackward({ saved, out, ...call }: Call, group: HeadGroup) {
    const { dout, inputs, grads, shape, type } = call;
    const { queries } = sizesOf(shape);
    const blocks = blocksOfEach(shape).ofQueries;
    launch(`disentangled_queries_backward_${type}`, shape, blocks, group.count, [
      target(grads.q, queries, type),
      ...group.pairs,
      elements(dout, queries, type),
      elements(out, queries, type),
      elements(saved, savedLength(shape), "f32"),
      ...contentArgs(inputs, shape, type),
      ...positionArgs(inputs, shape, type),
      ...shapeArgs(shape, blocks, group.first),
      ...dropoutArgs(shape.dropout),
    ]);
  }

  /** Sets dk and dv. */
  function keysBackward({ dout, inputs, grads, shape, type }: Call, group: HeadGroup) {
    const { queries, keys } = sizesOf(shape);
    const blocks = blocksOfEach(shape).ofKeys;
    const [, posQuery] = positionArgs(inputs, shape, type);
    launch(`disentangled_keys_backward_${type}`, shape, blocks, group.count, [
      target(grads.k, keys, type),
      target(grads.v, keys, type),
      ...group.pairs,
      elements(dout, queries, type),
      elements(inputs.q, queries, type),
      posQuery,
      ...shapeArgs(shape, blocks, group.first),
    ]);
  }

  /** Sets dposKey and dposQuery, where they are given: a block a row and head. */
  function positionsBackward({ inputs, grads, shape, type }: Call, group: HeadGroup) {
    const { positions } = sizesOf(shape);
    const { relativeRows, headDim, packing } = shape;
    if (grads.posKey === undefined && grads.posQuery === undefined) return;
    const [q, k] = contentArgs(inputs, shape, type);
    const bits = blocksOf(2 * packing.span - 1, WARP);
    const shared = 4 * (BLOCK_ROWS * headDim + bits);
    const kernel = `disentangled_positions_backward_${type}`;
    launcher.launch(kernel, [relativeRows, group.count], ATTENTION_BLOCK, shared, [
      optionalTarget(grads.posKey, positions, type),
      optionalTarget(grads.posQuery, positions, type),
      ...group.pairs,
      q,
      k,
      i32(packing.sequences),
      ...shapeArgs(shape, 1, group.first),
    ]);
  }
}
