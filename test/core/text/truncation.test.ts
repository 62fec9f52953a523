import { describe, expect, test } from "bun:test";
import { checkStride, truncate, windowRanges } from "../../../core/text/truncation.ts";

describe("truncate", () => {
  test.each([
    [[5, 7], 12, [5, 7], "all fits"],
    [[10, 3], 8, [5, 3], "only the longer one is truncated"],
    [[3, 10], 8, [3, 5], "only the longer one is truncated"],
    [[10, 8], 8, [4, 4], "both are truncated to half"],
    [[10, 8], 9, [5, 4], "an odd token goes to the longer text"],
    [[8, 10], 9, [4, 5], "an odd token goes to the longer text"],
    [[8, 8], 9, [4, 5], "of two equal texts the second gets it"],
    [[10, 0], 4, [4, 0], "one text"],
    [[3, 3], 1, [0, 1], "room for one token"],
    [[3, 3], 0, [0, 0], "no room"],
  ] as const)("longest: %p in %p tokens leaves %p (%s)", (lengths, room, kept) => {
    expect(truncate(lengths, room, "longest")).toEqual([...kept]);
  });

  test("first and second truncate only that text", () => {
    expect(truncate([10, 4], 9, "first")).toEqual([5, 4]);
    expect(truncate([10, 4], 13, "second")).toEqual([10, 3]);
  });

  test("a text of which nothing would remain is an error", () => {
    expect(() => truncate([10, 4], 10, "second")).toThrow(
      "[tokenize] the second text is too short to be truncated enough: got 4 tokens beside 10 of the other text, 10 allowed in total",
    );
    expect(() => truncate([2, 20], 18, "first")).toThrow("the first text is too short");
  });
});

describe("windowRanges", () => {
  test("windows overlap by the stride and end with the text", () => {
    expect(windowRanges(10, 4, 1)).toEqual([
      [0, 4],
      [3, 7],
      [6, 10],
    ]);
    expect(windowRanges(11, 4, 2)).toEqual([
      [0, 4],
      [2, 6],
      [4, 8],
      [6, 10],
      [8, 11],
    ]);
    expect(windowRanges(8, 4, 0)).toEqual([
      [0, 4],
      [4, 8],
    ]);
  });

  test("a text that fits is one window, an empty one too", () => {
    expect(windowRanges(4, 4, 3)).toEqual([[0, 4]]);
    expect(windowRanges(0, 4, 3)).toEqual([[0, 0]]);
  });

  test("a stride without progress is an error", () => {
    const rule =
      "[tokenize] the stride must be smaller than the part of the text that fits in a window: got stride 4, 4 tokens";
    expect(() => windowRanges(10, 4, 4)).toThrow(rule);
    expect(() => checkStride(5, 4)).toThrow("got stride 5, 4 tokens");
    expect(checkStride(4, 4)).toBeUndefined();
  });
});
