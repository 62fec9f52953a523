import type { Buffer } from "../../../core/backend.ts";
import {
  type DisentangledInputs,
  type DisentangledShape,
  longestSequence,
} from "../../../core/kernels/attention.ts";
import {
  elements,
  integers,
  type KernelType,
  optionalElements,
  optionalIntegers,
} from "../buffer.ts";
import { type Arg, blocksOf, f32, i32, type Launcher } from "../launcher.ts";
import { ATTENTION_BLOCK, attentionShared, BLOCK_ROWS } from "./attention-blocks.ts";

/** What backward reads and sets. */
export interface DisentangledBackward {
  readonly dout: Buffer;
  readonly inputs: DisentangledInputs;
  readonly saved: Buffer;
  readonly out: Buffer;
  readonly grads: DisentangledInputs;
  readonly shape: DisentangledShape;
}

/** Rows of q and out; each sequence has a row even without tokens when queries are first tokens. */
export const queryRowsOf = ({ packing, queries }: DisentangledShape) =>
  queries === "first" ? packing.sequences : packing.tokens;

/** What forward saves for backward: the log-sum-exp of each head's and query's scores. */
export const savedLength = (shape: DisentangledShape) => shape.heads * queryRowsOf(shape);

/** Element counts of one call's operands. */
export function sizesOf(shape: DisentangledShape) {
  const { packing, heads, headDim, relativeRows } = shape;
  const width = heads * headDim;
  return {
    keys: packing.tokens * width,
    queries: queryRowsOf(shape) * width,
    positions: relativeRows * width,
  };
}

/** Blocks of each sequence's queries, and of its keys. */
export function blocksOfEach({ packing, queries }: DisentangledShape) {
  const ofKeys = blocksOf(longestSequence(packing), BLOCK_ROWS);
  return { ofKeys, ofQueries: queries === "first" ? 1 : ofKeys };
}

/** q, k and v. */
export function contentArgs(
  inputs: DisentangledInputs,
  shape: DisentangledShape,
  type: KernelType,
) {
  const { queries, keys } = sizesOf(shape);
  return [
    elements(inputs.q, queries, type),
    elements(inputs.k, keys, type),
    elements(inputs.v, keys, type),
  ] as const;
}

/** posKey and posQuery. */
export function positionArgs(
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

/**
 * DISENTANGLED_PARAMETERS of kernels/disentangled.cu, for blocks of `blocks` a sequence and heads
 * from `firstHead` on.
 */
export function shapeArgs(shape: DisentangledShape, blocks: number, firstHead: number): Arg[] {
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

/** Starts a kernel with `blocks` blocks for each sequence and each of `heads` heads. */
export function launchSequences(
  launcher: Launcher,
  kernel: string,
  shape: DisentangledShape,
  { blocks, heads }: { blocks: number; heads: number },
  args: readonly Arg[],
): void {
  const grid = [shape.packing.sequences * blocks, heads] as const;
  launcher.launch(kernel, grid, ATTENTION_BLOCK, attentionShared(shape.headDim), args);
}
