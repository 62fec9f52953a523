import type { DType } from "../../../core/backend.ts";
import { WARP } from "./launches.ts";

/** Rows of a tile: TILE_ROWS of kernels/flash-tiles.h. */
export const TILE_ROWS = 64;

/** Threads of a block of these kernels: FLASH_THREADS. */
export const FLASH_BLOCK = 4 * WARP;

/** Bytes of a tile of a head in shared memory. */
export const tileBytes = (dim: number) => 2 * TILE_ROWS * dim;

/** Bytes of QuerySums of kernels/flash-backward.h. */
export const QUERY_SUMS_BYTES = 2 * 4 * TILE_ROWS;

/**
 * Finds the smallest head size that the tensor-core kernels are compiled for and `headDim` fits in.
 * Undefined where there is none, and in f32: other kernels then compute, without tensor cores.
 */
export const flashDim = (type: DType, headDim: number, dims: readonly number[]) =>
  type === "bf16" ? dims.find((dim) => headDim <= dim) : undefined;
