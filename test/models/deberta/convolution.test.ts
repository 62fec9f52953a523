import { describe, expect, test } from "bun:test";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import { neighbours } from "../../../models/deberta/convolution.ts";

const rows = (found: Int32Array, width: number) =>
  Array.from({ length: found.length / width }, (_, r) =>
    Array.from(found.slice(r * width, (r + 1) * width)),
  );

describe("neighbours of a convolution", () => {
  test("end at the borders of the sequence, not of the batch", () => {
    expect(rows(neighbours(packSequences([[1, 2, 3], [4], [5, 6]]), 3), 3)).toEqual([
      [-1, 0, 1],
      [0, 1, 2],
      [1, 2, -1],
      [-1, 3, -1],
      [-1, 4, 5],
      [4, 5, -1],
    ]);
  });

  test("are found by position: dropped padding has none", () => {
    const batch = { ...packSequences([[1, 2, 3]]), positions: Int32Array.of(0, 2, 3) };
    expect(rows(neighbours(batch, 3), 3)).toEqual([
      [-1, 0, -1],
      [-1, 1, 2],
      [1, 2, -1],
    ]);
  });

  test("reach further with a wider kernel", () => {
    expect(rows(neighbours(packSequences([[1, 2, 3]]), 5), 5)).toEqual([
      [-1, -1, 0, 1, 2],
      [-1, 0, 1, 2, -1],
      [0, 1, 2, -1, -1],
    ]);
  });
});
