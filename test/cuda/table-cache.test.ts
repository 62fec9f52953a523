import { expect, test } from "bun:test";
import { packedOnce } from "../../ffi/cuda/backend/tables.ts";
import { tableCache } from "../../ffi/cuda/table-cache.ts";

/** A cache over a device that only records what is uploaded and freed. */
function recordingCache() {
  let next = 4096;
  const uploads: { to: number; bytes: number[] }[] = [];
  const freed: number[] = [];
  const pool = {
    alloc: () => (next += 256),
    free: (pointer: number) => void freed.push(pointer),
    liveBytes: 0,
    reservedBytes: 0,
    close() {},
  };
  const never = () => {
    throw new Error("tables are only uploaded");
  };
  const staging = {
    upload(to: number, count: number, fill: (part: Uint8Array, first: number) => void) {
      const part = new Uint8Array(count);
      fill(part, 0);
      uploads.push({ to, bytes: [...part] });
    },
    download: never,
    startDownload: never,
    wait() {},
    close() {},
  };
  return { table: tableCache(pool, staging), uploads, freed };
}

test("a table that is on the device is not uploaded again", () => {
  const { table, uploads } = recordingCache();
  const one = table(Uint8Array.of(1, 2, 3, 4));
  const other = table(Uint8Array.of(1, 2, 3, 5));
  expect(table(Uint8Array.of(1, 2, 3, 4)).pointer).toBe(one.pointer);
  expect(table(new Uint32Array(Uint8Array.of(1, 2, 3, 5).buffer)).pointer).toBe(other.pointer);
  expect(uploads.map(({ bytes }) => bytes)).toEqual([
    [1, 2, 3, 4],
    [1, 2, 3, 5],
  ]);
});

test("a table keeps its values where the caller changes its own", () => {
  const { table, uploads } = recordingCache();
  const values = Uint8Array.of(1);
  table(values);
  values[0] = 2;
  table(values);
  expect(uploads.map(({ bytes }) => bytes)).toEqual([[1], [2]]);
});

test("the table that was used least recently makes room for a ninth", () => {
  const { table, freed } = recordingCache();
  const tables = Array.from({ length: 8 }, (_, i) => table(Uint8Array.of(i)));
  table(Uint8Array.of(0));
  table(Uint8Array.of(8));
  expect(freed).toEqual([tables[1]!.pointer]);
});

test("a list is packed once and can't change then", () => {
  let packs = 0;
  const packed = packedOnce((list: readonly number[]) => [++packs, ...list]);
  const list = [1, 2];
  expect([packed(list), packed(list), packed([1, 2])]).toEqual([
    [1, 1, 2],
    [1, 1, 2],
    [2, 1, 2],
  ]);
  expect(() => list.push(3)).toThrow(TypeError);
});
