import { describe, expect, test } from "bun:test";
import { offsetBy, viewBytes, zeroNative } from "../../ffi/memory.ts";
import { memoryPool } from "../../ffi/pool.ts";

const MIB = 2 ** 20;

describe("memoryPool", () => {
  test("blocks are aligned to 64 bytes", () => {
    const pool = memoryPool();
    for (const bytes of [0, 1, 63, 64, 65, 1000, 100_000, 2 * MIB + 1, 130 * MIB])
      expect(pool.alloc(bytes) % 64).toBe(0);
  });

  test("every byte of every live block is its own", () => {
    const pool = memoryPool();
    const alloc = (i: number) => {
      const bytes = 1 + ((i * 7919) % 50_000);
      const pointer = pool.alloc(bytes);
      new Uint8Array(viewBytes(pointer, bytes)).fill(i);
      return { pointer, bytes, i };
    };
    const blocks = Array.from({ length: 200 }, (_, i) => alloc(i));
    for (const { pointer } of blocks.splice(50, 100)) pool.free(pointer);
    for (let i = 200; i < 300; i++) blocks.push(alloc(i));
    for (const { pointer, bytes, i } of blocks) {
      const own = new Uint8Array(viewBytes(pointer, bytes)).every((byte) => byte === i % 256);
      expect(own).toBe(true);
    }
  });

  test("the count of live bytes returns to the start, and a freed block serves the next request", () => {
    const pool = memoryPool();
    const [first, second] = [pool.alloc(1000), pool.alloc(3 * MIB)];
    expect(pool.liveBytes).toBe(1024 + 3 * MIB);
    pool.free(first);
    pool.free(second);
    expect(pool.liveBytes).toBe(0);
    expect(pool.alloc(3 * MIB - 5)).toBe(first);
    expect(pool.liveBytes).toBe(3 * MIB);
  });

  test("steps of different sizes stay within the largest one's memory", () => {
    const pool = memoryPool();
    const resident = () => process.memoryUsage.rss();
    const step = (bytes: number) => {
      const blocks = Array.from({ length: 8 }, () => pool.alloc(bytes));
      blocks.forEach((block) => zeroNative(block, bytes));
      blocks.forEach((block) => pool.free(block));
    };
    step(32 * MIB);
    const full = resident();
    for (let i = 0; i < 12; i++) step((20 + ((i * 7) % 13)) * MIB);
    expect(resident() - full).toBeLessThan(16 * MIB);
  });

  test("freeing twice is a bug that is named", () => {
    const pool = memoryPool();
    const pointer = pool.alloc(64);
    pool.free(pointer);
    expect(() => pool.free(pointer)).toThrow(/internal: 0x[0-9a-f]+ is not a live block/);
  });

  test("an impossible request reports its size, and takes nothing", () => {
    const pool = memoryPool();
    const first = pool.alloc(2 ** 28);
    expect(() => pool.alloc(2 ** 47)).toThrow(
      "out of memory: cannot allocate 131072.00 GiB with 0.25 GiB in use",
    );
    expect(pool.liveBytes).toBe(2 ** 28);
    expect(pool.alloc(64)).toBe(offsetBy(first, 2 ** 28));
  });
});
