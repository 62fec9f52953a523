import { type DisentangledShape, longestSequence } from "../../../core/kernels/attention.ts";
import { CudaBuffer, elements, type KernelType, optionalTarget, target } from "../buffer.ts";
import { type Arg, blocksOf, i32, type Launcher } from "../launcher.ts";
import { ATTENTION_BLOCK, BLOCK_ROWS } from "./attention-blocks.ts";
import {
  blocksOfEach,
  contentArgs,
  type DisentangledBackward,
  launchSequences,
  positionArgs,
  queryRowsOf,
  savedLength,
  shapeArgs,
  sizesOf,
} from "./disentangled-shape.ts";
import { dropoutArgs } from "./dropout.ts";
import { WARP } from "./launches.ts";

/** One call, with activations of `type`. */
interface Call extends DisentangledBackward {
  readonly type: KernelType;
}

/** Heads whose scratch is in use together: those from `first` on. */
interface HeadGroup {
  readonly first: number;
  readonly count: number;
  /** PAIRS_PARAMETERS of kernels/disentangled.cu. */
  readonly pairs: readonly Arg[];
}

/**
 * Sets the gradients of disentangled attention, for one group of heads after another: as many at a
 * time as `scratch` floats hold, at least one.
 */
export function disentangledBackward(launcher: Launcher, scratch: number, call: Call): void {
  for (const group of headGroups(launcher, scratch, call.shape)) {
    queriesBackward(launcher, call, group);
    keysBackward(launcher, call, group);
    positionsBackward(launcher, call, group);
  }
}

/** A part of `scratch`. */
const partOf = ({ dtype, pointer }: CudaBuffer, offset: number, length: number) =>
  new CudaBuffer(dtype, length, pointer + 4 * offset);

/** Splits the heads into groups whose scratch fits. */
function headGroups(launcher: Launcher, scratch: number, shape: DisentangledShape): HeadGroup[] {
  const [rows, longest] = [queryRowsOf(shape), longestSequence(shape.packing)];
  const ofHead = Math.max(1, rows * longest);
  const most = Math.max(1, Math.min(shape.heads, Math.floor(scratch / (2 * ofHead))));
  const half = most * ofHead;
  const space = launcher.scratch(2 * half);
  const pairs = [partOf(space, 0, half), partOf(space, half, half), i32(rows), i32(longest)];
  return Array.from({ length: blocksOf(shape.heads, most) }, (_, i) => ({
    first: i * most,
    count: Math.min(most, shape.heads - i * most),
    pairs,
  }));
}

/** Sets dq, and the scratch that the others read. */
function queriesBackward(launcher: Launcher, { saved, out, ...call }: Call, group: HeadGroup) {
  const { dout, inputs, grads, shape, type } = call;
  const { queries } = sizesOf(shape);
  const grid = { blocks: blocksOfEach(shape).ofQueries, heads: group.count };
  launchSequences(launcher, `disentangled_queries_backward_${type}`, shape, grid, [
    target(grads.q, queries, type),
    ...group.pairs,
    elements(dout, queries, type),
    elements(out, queries, type),
    elements(saved, savedLength(shape), "f32"),
    ...contentArgs(inputs, shape, type),
    ...positionArgs(inputs, shape, type),
    ...shapeArgs(shape, grid.blocks, group.first),
    ...dropoutArgs(shape.dropout),
  ]);
}

/** Sets dk and dv. */
function keysBackward(launcher: Launcher, call: Call, group: HeadGroup) {
  const { dout, inputs, grads, shape, type } = call;
  const { queries, keys } = sizesOf(shape);
  const grid = { blocks: blocksOfEach(shape).ofKeys, heads: group.count };
  const [, posQuery] = positionArgs(inputs, shape, type);
  launchSequences(launcher, `disentangled_keys_backward_${type}`, shape, grid, [
    target(grads.k, keys, type),
    target(grads.v, keys, type),
    ...group.pairs,
    elements(dout, queries, type),
    elements(inputs.q, queries, type),
    posQuery,
    ...shapeArgs(shape, grid.blocks, group.first),
  ]);
}

/** Sets dposKey and dposQuery, where they are given: a block a row and head. */
function positionsBackward(launcher: Launcher, call: Call, group: HeadGroup) {
  const { inputs, grads, shape, type } = call;
  const { positions } = sizesOf(shape);
  const { relativeRows, headDim, packing } = shape;
  if (grads.posKey === undefined && grads.posQuery === undefined) return;
  const [q, k] = contentArgs(inputs, shape, type);
  // A sum of each warp, and a bit of each difference of positions.
  const shared = 4 * (BLOCK_ROWS * headDim + blocksOf(2 * packing.span - 1, WARP));
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
