import { afterAll, describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { readExamples, type ReadSpec } from "../../../core/data/examples.ts";
import { glueTasks } from "../../../core/data/glue-tasks.ts";
import { fileSplit } from "../../../core/data/splits.ts";
import { fileOf, removeFolders } from "./temp-files.ts";

afterAll(removeFolders);

const rte: ReadSpec = { task: glueTasks.rte, kind: "classification", labels: "required" };
const columns = (labels: readonly bigint[]) => [
  { name: "sentence1", data: labels.map((_, i) => `first ${i} é`), type: "STRING" as const },
  { name: "sentence2", data: labels.map((_, i) => `second ${i}`), type: "STRING" as const },
  { name: "label", data: [...labels], type: "INT64" as const },
];
type Options = Omit<Parameters<typeof parquetWriteBuffer>[0], "columnData">;

function read(labels: readonly bigint[], spec: ReadSpec, options: Options = {}) {
  const bytes = parquetWriteBuffer({ columnData: columns(labels), ...options });
  return readExamples(fileSplit(fileOf("x.parquet", new Uint8Array(bytes)), "train"), spec);
}

describe("the hub's parquet files", () => {
  for (const codec of ["UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD"] as const) {
    test(`${codec} columns`, async () => {
      const compressors = { GZIP: gzipSync, ZSTD: zstdCompressSync };
      const options = codec === "GZIP" || codec === "ZSTD" ? { codec, compressors } : { codec };
      const { examples } = await read([1n, 0n], rte, options);
      expect(examples).toEqual([
        { index: 0, text: "first 0 é", pair: "second 0", label: 1 },
        { index: 1, text: "first 1 é", pair: "second 1", label: 0 },
      ]);
    });
  }

  test("label -1 is a missing label in a test set and an error in a training set", async () => {
    const { examples } = await read([-1n], { ...rte, labels: "optional" });
    expect(examples).toEqual([{ index: 0, text: "first 0 é", pair: "second 0" }]);
    await expect(read([0n, -1n], rte)).rejects.toThrow('x.parquet: row 2: "label" must be one of');
  });

  test("class names inside the file decide what an integer means", async () => {
    const note = {
      info: {
        features: { label: { names: ["not_entailment", "entailment"], _type: "ClassLabel" } },
      },
    };
    const kvMetadata = [{ key: "huggingface", value: JSON.stringify(note) }];
    const { examples } = await read([1n, 0n], rte, { kvMetadata });
    expect(examples.map(({ label }) => label)).toEqual([0, 1]);
    const custom: ReadSpec = { kind: "classification", labels: "required" };
    expect((await read([1n], custom, { kvMetadata })).labelNames).toEqual([
      "not_entailment",
      "entailment",
    ]);
    await expect(read([2n], rte, { kvMetadata })).rejects.toThrow(
      'row 1: "label" 2 is not one of the file\'s 2 classes',
    );
  });

  test("a file of another format is recognised", async () => {
    const pointer = fileOf("x.parquet", "version https://git-lfs.github.com/spec/v1\n");
    await expect(readExamples(fileSplit(pointer, "train"), rte)).rejects.toThrow(
      "is not a parquet file: it is a Git LFS pointer",
    );
  });

  test("a truncated file is refused", async () => {
    const bytes = new Uint8Array(parquetWriteBuffer({ columnData: columns([1n, 0n]) }));
    const cut = fileOf("x.parquet", bytes.subarray(0, bytes.length - 9));
    await expect(readExamples(fileSplit(cut, "train"), rte)).rejects.toThrow(
      "is not a readable parquet file",
    );
  });
});
