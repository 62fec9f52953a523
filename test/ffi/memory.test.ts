import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ptr } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { openMapped } from "../../core/io/mapped-file.ts";
import {
  classBytes,
  copyIn,
  copyNative,
  copyOut,
  dropFilePages,
  memoryPool,
  offsetBy,
  viewBytes,
  zeroNative,
} from "../../ffi/memory.ts";

const MIB = 2 ** 20;

describe("memoryPool", () => {
  test("blocks are aligned to 64 bytes, and to huge pages from 2 MiB on", () => {
    const pool = memoryPool();
    for (const bytes of [1, 63, 64, 65, 1000, 100_000, 2 * MIB - 1])
      expect(pool.alloc(bytes) % 64).toBe(0);
    for (const bytes of [2 * MIB, 2 * MIB + 1, 5 * MIB])
      expect(pool.alloc(bytes) % (2 * MIB)).toBe(0);
  });

  test("a size class wastes at most an eighth and keeps the alignment", () => {
    for (let bytes = 1; bytes < 4 * MIB; bytes = Math.ceil(bytes * 1.07)) {
      const size = classBytes(bytes);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size % 64).toBe(0);
      expect(size - bytes).toBeLessThan(Math.max(64, bytes / 8));
      expect(classBytes(size)).toBe(size);
    }
  });

  test("every byte of every live block is its own", () => {
    const pool = memoryPool();
    const blocks = Array.from({ length: 200 }, (_, i) => {
      const bytes = 1 + ((i * 7919) % 50_000);
      const pointer = pool.alloc(bytes);
      new Uint8Array(viewBytes(pointer, bytes)).fill(i);
      return { pointer, bytes, i };
    });
    for (const { pointer, bytes, i } of blocks)
      expect(new Uint8Array(viewBytes(pointer, bytes)).every((byte) => byte === i % 256)).toBe(
        true,
      );
  });

  test("counters return to the start, and a freed block serves the next request of its class", () => {
    const pool = memoryPool();
    const first = pool.alloc(1000);
    const second = pool.alloc(3 * MIB);
    const live = classBytes(1000) + classBytes(3 * MIB);
    expect([pool.liveBytes, pool.peakBytes, pool.pooledBytes]).toEqual([live, live, 0]);
    pool.free(first);
    pool.free(second);
    expect([pool.liveBytes, pool.peakBytes, pool.pooledBytes]).toEqual([0, live, live]);
    expect(pool.alloc(3 * MIB - 5)).toBe(second);
    expect(pool.pooledBytes).toBe(classBytes(1000));
    pool.resetPeak();
    expect(pool.peakBytes).toBe(classBytes(3 * MIB));
    pool.trim();
    expect(pool.pooledBytes).toBe(0);
  });

  test("a larger block serves where none of the class waits, a much larger one does not", () => {
    const pool = memoryPool();
    const block = pool.alloc(12 * MIB);
    pool.free(block);
    const smaller = pool.alloc(7 * MIB);
    expect(smaller).not.toBe(block);
    expect(pool.alloc(9 * MIB)).toBe(block);
    expect(pool.liveBytes).toBe(classBytes(7 * MIB) + 12 * MIB);
  });

  test("steps of different sizes hold little more than the largest of them", () => {
    const pool = memoryPool();
    for (let step = 0; step < 30; step++) {
      const bytes = (20 + ((step * 7) % 13)) * MIB;
      Array.from({ length: 8 }, () => pool.alloc(bytes)).forEach((block) => pool.free(block));
      expect(pool.liveBytes + pool.pooledBytes).toBeLessThanOrEqual(1.1 * pool.peakBytes);
    }
  });

  test("pooled blocks go back to the system, the longest unused first, past the peak", () => {
    const pool = memoryPool();
    const size = 40 * MIB;
    for (let i = 0; i < 10; i++) pool.free(pool.alloc(size + i * 6 * MIB));
    expect(pool.pooledBytes).toBeLessThanOrEqual(pool.peakBytes);
    expect(pool.pooledBytes).toBeGreaterThanOrEqual(classBytes(size + 54 * MIB));
  });

  test("freeing twice is a bug that is named", () => {
    const pool = memoryPool();
    const pointer = pool.alloc(64);
    pool.free(pointer);
    expect(() => pool.free(pointer)).toThrow(/internal: 0x[0-9a-f]+ is not a live block/);
  });

  test("an impossible request says how much was wanted", () => {
    const pool = memoryPool();
    pool.alloc(2 ** 30);
    expect(() => pool.alloc(2 ** 47)).toThrow(
      "out of memory: wanted 131072.00 GiB, 1.00 GiB in use",
    );
    expect(pool.liveBytes).toBe(2 ** 30);
  });

  test("resident memory falls when large blocks are trimmed", () => {
    const pool = memoryPool();
    const pointer = pool.alloc(96 * MIB);
    zeroNative(pointer, 96 * MIB);
    const full = process.memoryUsage.rss();
    pool.free(pointer);
    pool.trim();
    expect(full - process.memoryUsage.rss()).toBeGreaterThan(80 * MIB);
  });
});

describe("copies", () => {
  test("small heap arrays, which may move, arrive whole every time", () => {
    const pool = memoryPool();
    const pointer = pool.alloc(4 * 500);
    const back = new Float32Array(500);
    for (let i = 0; i < 5000; i++) {
      const from = new Float32Array(1 + (i % 500)).fill(i + 0.5);
      copyIn(pointer, from.subarray(0));
      copyOut(back.subarray(0, from.length), pointer);
      if (back[0] !== i + 0.5 || back[from.length - 1] !== i + 0.5) throw new Error(`lost at ${i}`);
    }
  });

  test("native to native, from an offset, and zeroing", () => {
    const pool = memoryPool();
    const [a, b] = [pool.alloc(400), pool.alloc(400)];
    copyIn(
      a,
      Int32Array.from({ length: 100 }, (_, i) => i),
    );
    zeroNative(b, 400);
    copyNative(offsetBy(b, 40), offsetBy(a, 360), 40);
    const got = new Int32Array(viewBytes(b, 400));
    expect([...got.subarray(8, 13)]).toEqual([0, 0, 90, 91, 92]);
    expect([...got.subarray(18, 22)]).toEqual([98, 99, 0, 0]);
  });

  test("a mapped file, also past 4 GiB", () => {
    const folder = mkdtempSync(join(tmpdir(), "adalora-"));
    const path = join(folder, "sparse");
    writeFileSync(path, "");
    const file = openSync(path, "r+");
    const end = 4.5 * 2 ** 30;
    ftruncateSync(file, end); // sparse: no disk is used
    closeSync(file);
    const pointer = memoryPool().alloc(4096);
    new Uint8Array(viewBytes(pointer, 4096)).fill(7);
    copyIn(pointer, Bun.mmap(path, { offset: end - 4096, size: 4096, shared: false }));
    expect(new Uint8Array(viewBytes(pointer, 4096)).every((byte) => byte === 0)).toBe(true);
    rmSync(folder, { recursive: true });
  });
});

describe("dropFilePages", () => {
  const residentMib = () =>
    Number(/RssFile:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;

  /** 64 MiB of ones, mapped as checkpoints are, every page of it read. */
  function mappedOnes(): Uint8Array {
    const dir = mkdtempSync(join(tmpdir(), "adalora-pages-"));
    const path = join(dir, "ones");
    writeFileSync(path, new Uint8Array(64 * MIB).fill(1));
    const bytes = openMapped(path).view(0, 64 * MIB);
    rmSync(dir, { recursive: true });
    for (let i = 0; i < bytes.length; i += 4096) if (bytes[i] !== 1) throw new Error("not read");
    return bytes;
  }

  test("a checkpoint's pages go back to the system and can be read again", () => {
    const bytes = mappedOnes();
    const before = residentMib();
    dropFilePages(ptr(bytes), bytes.length);
    expect(before - residentMib()).toBeGreaterThan(60);
    expect(bytes[12_345_678]).toBe(1);
  });

  test("what a write has made of a page stays", () => {
    const bytes = mappedOnes();
    bytes[5_000_000] = 7;
    dropFilePages(ptr(bytes), bytes.length);
    expect(bytes[5_000_000]).toBe(7);
  });

  test("memory that is of no file is left alone", () => {
    const bytes = new Uint8Array(4 * MIB).fill(3);
    dropFilePages(ptr(bytes), bytes.length);
    expect(bytes.every((byte) => byte === 3)).toBe(true);
  });
});
