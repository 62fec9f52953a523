import { describe, expect, test } from "bun:test";
import {
  bucketOf,
  relativeRows,
  relativeSpan,
} from "../../../models/deberta/relative-positions.ts";

const v3 = { positionBuckets: 256, maxRelativePositions: 512 };
const small = { positionBuckets: 8, maxRelativePositions: 64 };
const raw = { positionBuckets: 0, maxRelativePositions: 4 };

describe("bucketOf", () => {
  const table: [offset: number, bucket: number, reason: string][] = [
    [0, 0, "the token itself"],
    [4, 4, "half of the buckets: the last exact one"],
    [5, 5, "4 + ceil(3 ln(5/4) / ln(63/4)) = 4 + ceil(0.24)"],
    [10, 5, "4 + ceil(0.997)"],
    [11, 6, "4 + ceil(1.10)"],
    [63, 7, "the largest offset: the last bucket"],
    [-11, -6, "odd in the offset"],
  ];
  for (const [offset, bucket, reason] of table)
    test(`${offset}: ${bucket}, ${reason}`, () => expect(bucketOf(offset, small)).toBe(bucket));

  test("is monotone and odd, and ends at the last row of v3's table", () => {
    const buckets = Array.from({ length: 512 }, (_, d) => bucketOf(d, v3));
    expect(buckets).toEqual(buckets.toSorted((a, b) => a - b));
    expect(buckets.slice(0, 130)).toEqual(Array.from({ length: 130 }, (_, d) => d));
    expect(buckets.at(-1)).toBe(255);
    buckets.forEach((bucket, d) => expect(bucketOf(-d, v3) + bucket).toBe(0));
  });

  test("without buckets an offset is its own bucket", () => expect(bucketOf(-300, raw)).toBe(-300));
});

describe("relativeRows", () => {
  test("covers only the rows within reach of a span, each offset at d + span - 1", () => {
    // offsets -2 .. 2 of a table with 8 rows on each side
    expect(relativeRows(3, small)).toEqual({
      first: 6,
      count: 5,
      index: Int32Array.of(0, 1, 2, 3, 4),
    });
  });

  test("far offsets share rows", () => {
    const { first, count, index } = relativeRows(64, small);
    expect([first, count]).toEqual([1, 15]);
    expect(index.length).toBe(127);
    expect(Array.from(index.slice(0, 3))).toEqual([0, 0, 0]); // -63, -62, -61: bucket -7
    expect(index[63]).toBe(7); // offset 0
    expect(Array.from(index.slice(-3))).toEqual([14, 14, 14]);
  });

  test("one position reads one row", () => {
    expect(relativeRows(1, v3)).toEqual({ first: 256, count: 1, index: Int32Array.of(0) });
  });

  test("without buckets offsets are clipped at the ends of the table", () => {
    expect(relativeSpan(raw)).toBe(4);
    // offsets -6 .. 6, rows offset + 4 within 0 .. 7
    expect(relativeRows(7, raw)).toEqual({
      first: 0,
      count: 8,
      index: Int32Array.of(0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7),
    });
  });

  test("the table has a row for each bucket of both signs", () => {
    expect(relativeSpan(v3)).toBe(256);
    const { first, count } = relativeRows(512, v3);
    expect(first).toBe(1); // bucket -255
    expect(first + count).toBe(512); // bucket 255, the last row
  });
});
