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
  copyIn,
  copyNative,
  dropFilePages,
  offsetBy,
  viewBytes,
  zeroNative,
} from "../../ffi/memory.ts";
import { memoryPool } from "../../ffi/pool.ts";

const MIB = 2 ** 20;

describe("copies", () => {
  test("small heap arrays, which may move, arrive whole every time", () => {
    const pool = memoryPool();
    const pointer = pool.alloc(4 * 500);
    const back = new Float32Array(viewBytes(pointer, 4 * 500));
    for (let i = 0; i < 5000; i++) {
      const from = new Float32Array(1 + (i % 500)).fill(i + 0.5);
      copyIn(pointer, from.subarray(0));
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
