import type { Buffer } from "../../../core/backend.ts";
import type { DisentangledInputs, DisentangledShape } from "../../../core/kernels/attention.ts";
import { CudaBuffer, elements, optionalTarget, target } from "../buffer.ts";
import { type Arg, blocksOf, i32, type Launcher } from "../launcher.ts";
import {
  contentArgs,
  type DisentangledBackward,
  positionArgs,
  queryRowsOf,
  savedLength,
  shapeArgs,
  sizesOf,
} from "./disentangled-shape.ts";
import { dropoutArgs } from "./dropout.ts";
import { FLASH_BLOCK, QUERY_SUMS_BYTES, TILE_ROWS, tileBytes } from "./flash.ts";
import { WARP } from "./launches.ts";

/** HEAD of kernels/flash-positions.h: the widest head of these kernels. */
export const FLASH_HEAD = 64;

/** PITCH of kernels/flash-positions.h. */
const PITCH = 88;

/** Floats of a window: WINDOW rows of a table's gradient for one head. */
const WINDOW_FLOATS = 2 * TILE_ROWS * FLASH_HEAD;

/** Threads of a block that adds windows up. */
const COLUMNS = 256;

/** Blocks of windows for each multiprocessor: their numbers of tiles differ. */
const BLOCKS_OF_MULTIPROCESSOR = 4;

/** Bytes of `tiles` tiles, two tables' windows and products: Space of flash-disentangled.h. */
const sharedBytes = (tiles: number) => (tiles + 4) * tileBytes(FLASH_HEAD) + 4 * TILE_ROWS * PITCH;

/** Tiles of the longest sequence, which count positions. */
const tilesOf = ({ packing }: DisentangledShape) => blocksOf(packing.span, TILE_ROWS);

/**
 * What forward saves for backward: the log-sum-exp of each query's scores; where queries are first
 * tokens only, their output before it is rounded, too.
 */
export const flashSavedLength = (shape: DisentangledShape) =>
  savedLength(shape) + (shape.queries === "first" ? sizesOf(shape).queries : 0);

/** Sets out and saved: in bf16, of heads up to 64. */
export function flashDisentangled(
  launcher: Launcher,
  inputs: DisentangledInputs,
  { out, saved }: { out: Buffer; saved: Buffer | undefined },
  shape: DisentangledShape,
): void {
  const blocks = shape.queries === "first" ? 1 : tilesOf(shape);
  const grid = [shape.packing.sequences * blocks, shape.heads] as const;
  launcher.launch("flash_disentangled", grid, FLASH_BLOCK, sharedBytes(3), [
    target(out, sizesOf(shape).queries, "bf16"),
    optionalTarget(saved, flashSavedLength(shape)),
    i32(queryRowsOf(shape)),
    ...contentArgs(inputs, shape, "bf16"),
    ...positionArgs(inputs, shape, "bf16"),
    ...shapeArgs(shape, blocks, 0),
    ...dropoutArgs(shape.dropout),
  ]);
}

/** Sets the gradients in two launches, with at most `scratch` floats of it if one group fits. */
export function flashDisentangledBackward(
  launcher: Launcher,
  scratch: number,
  { dout, inputs, saved, out, grads, shape }: DisentangledBackward,
): void {
  const { packing, heads, headDim, relativeRows } = shape;
  const size = sizesOf(shape);
  const blocks = tilesOf(shape);
  const dposKey = optionalTarget(grads.posKey, size.positions, "bf16");
  const dposQuery = optionalTarget(grads.posQuery, size.positions, "bf16");
  const { windows, groups } = windowsOf(launcher, scratch, shape, [dposKey, dposQuery]);
  const ofWindows = [...windows, i32(groups), i32(packing.sequences)];
  const ofShape = shapeArgs(shape, blocks, 0);
  const isSummed = dposKey !== undefined || dposQuery !== undefined;
  const width = Math.max(packing.sequences * blocks, isSummed ? groups * (2 * blocks - 1) : 0);
  const shared = sharedBytes(4) + QUERY_SUMS_BYTES;
  launcher.launch(
    "flash_disentangled_backward",
    [width, heads, isSummed ? 4 : 2],
    FLASH_BLOCK,
    shared,
    [
      target(grads.q, size.queries, "bf16"),
      target(grads.k, size.keys, "bf16"),
      target(grads.v, size.keys, "bf16"),
      ...ofWindows,
      elements(dout, size.queries, "bf16"),
      elements(out, size.queries, "bf16"),
      elements(saved, flashSavedLength(shape), "f32"),
      i32(queryRowsOf(shape)),
      ...contentArgs(inputs, shape, "bf16"),
      ...positionArgs(inputs, shape, "bf16"),
      ...ofShape,
      ...dropoutArgs(shape.dropout),
    ],
  );
  if (!isSummed) return;
  const grid = [relativeRows, blocksOf(heads * headDim, COLUMNS), 2] as const;
  const bits = 4 * blocksOf(2 * packing.span - 1, WARP);
  launcher.launch("flash_disentangled_add_windows", grid, COLUMNS, bits, [
    dposKey,
    dposQuery,
    ...ofWindows,
    ...ofShape,
  ]);
}

/**
 * Scratch for the windows of each table whose gradient is required, and the number of groups of
 * sequences that have their own: as many as fill the device.
 */
function windowsOf(
  launcher: Launcher,
  scratch: number,
  shape: DisentangledShape,
  tables: readonly (CudaBuffer | undefined)[],
): { windows: Arg[]; groups: number } {
  const { packing, heads } = shape;
  const required = tables.filter((each) => each !== undefined).length;
  if (required === 0) return { windows: tables.map(() => undefined), groups: 1 };
  const ofGroup = (2 * tilesOf(shape) - 1) * heads;
  const filling = (BLOCKS_OF_MULTIPROCESSOR * launcher.multiprocessors) / (required * ofGroup);
  const fitting = Math.floor(scratch / (required * ofGroup * WINDOW_FLOATS));
  const groups = Math.max(1, Math.min(packing.sequences, Math.ceil(filling), fitting));
  const ofTable = groups * ofGroup * WINDOW_FLOATS;
  const space = launcher.scratch(required * ofTable);
  let next = space.pointer;
  const windows = tables.map((table) => {
    if (table === undefined) return undefined;
    const windowsOfTable = new CudaBuffer("f32", ofTable, next);
    next += 4 * ofTable;
    return windowsOfTable;
  });
  return { windows, groups };
}
