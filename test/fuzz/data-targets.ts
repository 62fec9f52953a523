import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { readExamples, type ReadSpec } from "../../core/data/examples.ts";
import { glueTasks } from "../../core/data/glue-tasks.ts";
import { openTable } from "../../core/data/open-table.ts";
import { fileSplit } from "../../core/data/splits.ts";
import { readSquad } from "../../core/data/squad.ts";
import { readSummaries } from "../../core/data/summaries.ts";
import { cachedTokens, packTokens } from "../../core/data/token-cache.ts";
import { createWarnings } from "../../core/data/warnings.ts";
import type { Kind } from "./mutate.ts";
import type { Seed, Target } from "./target.ts";

const fixtures = join(import.meta.dir, "../fixtures");

/** The files in the folder of bad data whose names begin so: most are nearly right. */
function nearlyRight(start: string, kind: Kind): Seed[] {
  const folder = join(fixtures, "data/bad");
  return readdirSync(folder)
    .filter((name) => name.startsWith(start))
    .map((name) => ({ bytes: readFileSync(join(folder, name)), kind, name: extname(name) }));
}

const text = (content: string, name: string, kind: Kind = "text"): Seed => ({
  bytes: Buffer.from(content),
  kind,
  name,
});

function split(dir: string, name: string, bytes: Uint8Array) {
  const path = join(dir, `x${name}`);
  writeFileSync(path, bytes);
  return fileSplit(path, "train");
}

const classes: ReadSpec = { kind: "classification", labels: "optional" };
const scores: ReadSpec = {
  kind: "regression",
  labels: "required",
  labelColumn: "score",
  textColumn: "text",
};

const rows = [
  ["sentence1", "sentence2", "label"],
  ["A man is here.", 'He said "yes".', "1"],
  ["Two, three\nlines", "é 🙂", "0"],
  ["end", "", "1"],
];
const csv = rows
  .map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(","))
  .join("\r\n");
const tsv = rows.map((row) => row.map((cell) => cell.replaceAll("\n", " ")).join("\t")).join("\n");
const [header = [], ...cells] = rows;
const objects = cells.map((row) => Object.fromEntries(row.map((cell, i) => [header[i], cell])));

type Options = Omit<Parameters<typeof parquetWriteBuffer>[0], "columnData">;

function parquet(options: Options): Seed {
  const columnData = [
    { name: "text", data: ["a", "b é", "c".repeat(50), "a"], type: "STRING" as const },
    { name: "label", data: [0n, 1n, 1n, 0n], type: "INT64" as const },
    { name: "score", data: [0.5, 1, 2, 3], type: "DOUBLE" as const },
  ];
  return { bytes: new Uint8Array(parquetWriteBuffer({ columnData, ...options })), kind: "binary" };
}

/** Tables and questions. */
export const dataTargets: readonly Target[] = [
  {
    name: "CSV and TSV",
    seeds: () => [
      text(`${csv}\r\n`, ".csv"),
      text(`${tsv}\n`, ".tsv"),
      text("text\tscore\na\t1.5\nb\t-2e3\nc\t.5\n", ".tsv"),
      ...nearlyRight("sst2", "text"),
      ...nearlyRight("rte", "text"),
    ],
    async read(bytes, { name = "" }, dir) {
      const isScored = bytes.subarray(0, 12).includes(0x63) && bytes.length < 100;
      const task = bytes.length % 2 === 0 ? glueTasks.rte : undefined;
      await readExamples(split(dir, name, bytes), isScored ? scores : { ...classes, task });
    },
  },
  {
    name: "JSON rows",
    seeds: () => [
      text(objects.map((row) => JSON.stringify(row)).join("\n"), ".jsonl"),
      text(JSON.stringify(objects), ".json", "json"),
    ],
    read: (bytes, { name = "" }, dir) => readExamples(split(dir, name, bytes), classes),
  },
  {
    name: "SQuAD",
    seeds: () => [
      { bytes: readFileSync(join(fixtures, "data/squad-16.json")), kind: "json", name: ".json" },
      ...nearlyRight("squad", "text"),
      text(
        '{"id": "1", "question": "who?", "context": "Ann ran.", "answers": {"text": ["Ann"], "answer_start": [0]}}\n',
        ".jsonl",
      ),
    ],
    read: (bytes, { name = "" }, dir) =>
      readSquad(split(dir, name, bytes), { labels: "required", unanswerable: true }),
  },
  {
    name: "summaries",
    seeds: () => [
      { bytes: readFileSync(join(fixtures, "summaries/fables.csv")), kind: "text", name: ".csv" },
      ...nearlyRight("sum", "text"),
    ],
    read: (bytes, { name = "" }, dir) =>
      readSummaries(split(dir, name, bytes), { labels: "required" }),
  },
  {
    name: "parquet",
    seeds: () => [
      { bytes: readFileSync(join(fixtures, "data/squad-hub.parquet")), kind: "binary" },
      parquet({ codec: "UNCOMPRESSED" }),
      parquet({ codec: "SNAPPY" }),
      parquet({ codec: "GZIP", compressors: { GZIP: gzipSync } }),
      parquet({ codec: "ZSTD", compressors: { ZSTD: zstdCompressSync } }),
    ],
    async read(bytes, _, dir) {
      const [source] = split(dir, ".parquet", bytes).files;
      const options = { role: "train", hasHeader: true, warnings: createWarnings() } as const;
      const table = await openTable(source ?? "", options);
      await table.read(table.columns);
    },
  },
  {
    name: "token cache",
    async seeds() {
      const dir = mkdtempSync(join(tmpdir(), "adalora-fuzz-tokens-"));
      await cachedTokens(cacheKey, someTokens, dir);
      const bytes = readFileSync(join(dir, "tokens", `${cacheKey}.bin`));
      rmSync(dir, { recursive: true });
      return [{ bytes, kind: "binary" }];
    },
    async read(bytes, _, dir) {
      mkdirSync(join(dir, "tokens"));
      writeFileSync(join(dir, "tokens", `${cacheKey}.bin`), bytes);
      await cachedTokens(cacheKey, someTokens, dir);
    },
  },
];

const cacheKey = "ab".repeat(32);
const someTokens = async () =>
  packTokens([{ ids: Int32Array.of(1, 2, 3), typeIds: Int32Array.of(0, 0, 1) }]);
