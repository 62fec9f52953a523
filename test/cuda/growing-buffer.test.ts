import { expect, test } from "bun:test";
import { errors } from "../../core/errors.ts";
import { growingBuffer } from "../../ffi/cuda/growing-buffer.ts";

/** A pool with so many bytes, which gives every block another address. */
function poolOf(bytes: number) {
  const live = new Map<number, number>();
  let next = 4096;
  return {
    live,
    alloc(size: number) {
      if (size > bytes) throw errors.memory(size, 0);
      live.set((next += 4096), size);
      return next;
    },
    free(pointer: number, size: number) {
      expect(live.get(pointer)).toBe(size);
      live.delete(pointer);
    },
  };
}

test("a buffer is reallocated only to grow, and its old memory is freed", () => {
  const pool = poolOf(4096);
  const grown: number[] = [];
  const buffer = growingBuffer(pool, ({ length }) => grown.push(length));
  const first = buffer(10);
  expect(buffer(5)).toBe(first);
  buffer(20);
  expect([grown, [...pool.live.values()]]).toEqual([[10, 20], [80]]);
});

test("where it can't grow, the memory that it freed is no longer its own", () => {
  const pool = poolOf(64);
  const buffer = growingBuffer(pool);
  buffer(8);
  expect(() => buffer(32)).toThrow("out of memory");
  expect([...pool.live.keys()]).toEqual([]);
  const { pointer } = buffer(8);
  expect([...pool.live.keys()]).toEqual([pointer]);
});
