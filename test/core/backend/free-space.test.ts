import { describe, expect, test } from "bun:test";
import { blockBytes, FreeSpace } from "../../../core/backend/free-space.ts";

test("a block takes whole units of its alignment, at least one: cache lines by default", () => {
  expect([0, 1, 64, 65, 1000].map((bytes) => blockBytes(bytes))).toEqual([64, 64, 64, 128, 1024]);
  expect([0, 256, 257].map((bytes) => blockBytes(bytes, 256))).toEqual([256, 256, 512]);
});

describe("FreeSpace", () => {
  const spaceOf = (...ranges: readonly (readonly [start: number, bytes: number])[]) => {
    const space = new FreeSpace();
    for (const [start, bytes] of ranges) space.give(start, bytes);
    return space;
  };

  test("a block is cut from the lowest range that fits it", () => {
    const space = spaceOf([1000, 100], [0, 50], [500, 200]);
    expect([60, 50, 150, 100].map((bytes) => space.take(bytes))).toEqual([500, 0, undefined, 560]);
  });

  test("a freed block merges with the ranges before and after it", () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [0, 2, 1],
      [1, 2, 0],
    ]) {
      const space = spaceOf(...order.map((i) => [100 * i, 100] as const));
      expect(space.take(300)).toBe(0);
      expect(space.take(1)).toBeUndefined();
    }
  });

  test("ranges that are not adjacent stay separate", () => {
    const space = spaceOf([0, 100], [200, 100]);
    expect(space.take(150)).toBeUndefined();
    space.give(101, 98);
    expect(space.take(101)).toBeUndefined();
  });

  test("reports the free range below an address", () => {
    const space = spaceOf([0, 10], [100, 50]);
    expect([150, 149, 10].map((end) => space.below(end))).toEqual([50, 0, 0]);
  });

  test("the space is whole again after any order of frees", () => {
    const space = spaceOf([0, 100_000]);
    const blocks: { start: number; bytes: number }[] = [];
    for (let i = 0; i < 2000; i++) {
      const bytes = 1 + ((i * 7919) % 900);
      const start = space.take(bytes);
      if (start !== undefined) {
        const clash = blocks.find((b) => b.start < start + bytes && start < b.start + b.bytes);
        expect(clash).toBeUndefined();
        blocks.push({ start, bytes });
      }
      const [back] = i % 3 === 0 ? blocks.splice((i * 31) % blocks.length, 1) : [];
      if (back) space.give(back.start, back.bytes);
    }
    for (const { start, bytes } of blocks) space.give(start, bytes);
    expect(space.take(100_000)).toBe(0);
  });
});
