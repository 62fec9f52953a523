/** Rows, columns and triplets of a tile of kernels/triplets.h, and threads of a block. */
export const [ROWS, COLUMNS, RANKS, TILED_BLOCK] = [32, 128, 16, 256];

/** Elements from the first to the last of a matrix [rows, cols], its rows `stride` elements apart. */
export const storedLength = (rows: number, cols: number, stride: number) =>
  rows === 0 || cols === 0 ? 0 : (rows - 1) * stride + cols;
