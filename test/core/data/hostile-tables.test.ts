import { afterAll, describe, expect, test } from "bun:test";
import { Readable } from "node:stream";
import { createZstdCompress, zstdCompressSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { csvRecords } from "../../../core/data/csv.ts";
import { delimitedTable } from "../../../core/data/delimited.ts";
import { type ExampleSet, readExamples, type ReadSpec } from "../../../core/data/examples.ts";
import { jsonFault } from "../../../core/io/json-fault.ts";
import { formatCell, scoreParser } from "../../../core/data/labels.ts";
import { parquetTable } from "../../../core/data/parquet-table.ts";
import { fileSplit, locateSplits } from "../../../core/data/splits.ts";
import { quoted } from "../../../core/data/table.ts";
import { createWarnings } from "../../../core/data/warnings.ts";
import { AdaloraError } from "../../../core/errors.ts";
import { ownCache } from "../../helpers/own-cache.ts";
import { fileOf, folderOf, removeFolders } from "./temp-files.ts";
import { cpuTime } from "../../helpers/cpu-time.ts";

ownCache();
afterAll(removeFolders);

/** Fails when `run` takes more processor time; returns its result or the message of its AdaloraError. */
async function within<T>(milliseconds: number, run: () => T | Promise<T>): Promise<T | string> {
  const started = cpuTime();
  try {
    return await run();
  } catch (error) {
    if (error instanceof AdaloraError) return error.message;
    throw error;
  } finally {
    expect(cpuTime() - started).toBeLessThan(milliseconds);
  }
}

const csv = (text: string) =>
  delimitedTable(text, "x.csv", { format: "csv", warnings: createWarnings() });

describe("the time for a table is linear in its size", () => {
  test("a header of 200,000 columns, and one with a duplicate", async () => {
    const names = Array.from({ length: 200_000 }, (_, i) => `c${i}`);
    const table = await within(2000, () => csv(`${names.join(",")}\n`));
    expect(typeof table === "string" ? table : table.columns.length).toBe(200_000);
    expect(await within(2000, () => csv(`${names.join(",")},c0\n`))).toBe(
      'x.csv:1: the header has "c0" more than once',
    );
  });

  test("a field of 20 MB, of doubled quotes alone or with one missing", async () => {
    const quotes = '""'.repeat(5_000_000);
    const [record] = [...csvRecords(`"${quotes}",b\n`, "x.csv")];
    expect(record?.fields.map(({ length }) => length)).toEqual([5_000_000, 1]);
    expect(await within(2000, () => [...csvRecords(`"${quotes}`, "x.csv")].length)).toContain(
      "a quoted field starts here and is never closed",
    );
  });

  test("a score of 400,000 digits that is none", async () => {
    const parse = scoreParser(undefined, { column: "score", optional: false }, createWarnings());
    const message = await within(1000, () => parse(`${"1".repeat(400_000)}x`, "x.tsv:2"));
    expect(message).toStartWith('x.tsv:2: "score" must be a finite number, got "111');
    expect(String(message).length).toBeLessThan(200);
    for (const [cell, score] of [
      ["1.", 1],
      [".5", 0.5],
      ["-1.5e3", -1500],
      ["+2", 2],
    ] as const) {
      expect(parse(cell, "x")).toBe(score);
    }
  });

  test("20,000 shards of one split in a folder", async () => {
    const files = Array.from({ length: 20_000 }, (_, i) => {
      return [`train-${String(i).padStart(5, "0")}-of-99999.csv`, ""] as const;
    });
    const folder = folderOf(Object.fromEntries(files));
    expect(await within(2000, () => locateSplits(folder).length)).toContain("is incomplete");
  });

  test("a JSON text that is broken behind a string of 20 MB", async () => {
    const text = `{"a":\n"${String.raw`\"\u00e9x`.repeat(2_000_000)}"\n!}`;
    expect(await within(3000, () => jsonFault(text)?.line)).toBe(3);
  });
});

test("no message repeats a large cell or name", () => {
  const long = "x".repeat(1_000_000);
  expect(formatCell(long).length).toBeLessThan(100);
  expect(quoted([long, long]).length).toBeLessThan(100);
});

const rte: ReadSpec = { kind: "classification", labels: "required" };

/** A parquet file of one text column and labels; `compress` makes a page of its bytes. */
function parquet(
  texts: readonly string[],
  compress: (bytes: Uint8Array) => Uint8Array = zstdCompressSync,
): Uint8Array<ArrayBuffer> {
  const columnData = [
    { name: "text", data: [...texts], type: "STRING" as const },
    { name: "label", data: texts.map((_, i) => BigInt(i % 2)), type: "INT64" as const },
  ];
  const compressors = { ZSTD: compress };
  return new Uint8Array(parquetWriteBuffer({ columnData, codec: "ZSTD", compressors }));
}

/** A gigabyte of zeros as a zstd frame of some 30 KB. */
async function zstdBomb(): Promise<Uint8Array> {
  const compressor = createZstdCompress();
  const zeros = Buffer.alloc(2 ** 22);
  const compressed = Readable.from(Array.from({ length: 256 }, () => zeros)).pipe(compressor);
  return Buffer.concat(await Array.fromAsync(compressed));
}

async function readParquet(bytes: Uint8Array): Promise<ExampleSet> {
  return readExamples(fileSplit(fileOf("x.parquet", bytes), "train"), rte);
}

describe("parquet", () => {
  test("a small file that grows to gigabytes is refused", async () => {
    const bomb = await zstdBomb();
    const bytes = parquet(["a", "b"], () => bomb);
    expect(bytes.length).toBeLessThan(1_000_000);
    const refusal = await within(8000, async () => (await readParquet(bytes)).examples.length);
    expect(refusal).toMatch(
      /x\.parquet: is not a readable parquet file \(reading it takes too (much memory|long)/,
    );
  }, 60_000);

  test("each file with one changed byte is read or refused in time", async () => {
    const bytes = parquet(["a", "b", "c", "d"]);
    for (let i = 4; i < bytes.length; i += 3) {
      const copy = bytes.slice();
      copy[i]! ^= 1 << (i % 8);
      await within(20_000, async () => {
        const table = await parquetTable(copy, "x.parquet");
        return table.read(table.columns);
      });
    }
  }, 120_000);
});
