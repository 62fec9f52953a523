import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { delimitedTable } from "../../../core/data/delimited.ts";
import { fileSplit } from "../../../core/data/splits.ts";
import { readSummaries, type SummaryExample } from "../../../core/data/summaries.ts";
import { ignoredLabel } from "../../../core/kernels/losses.ts";
import { encodeTexts, summaryInputs } from "../../../core/data/summary-features.ts";
import { tokensOf } from "../../../core/data/token-cache.ts";
import { decodeText } from "../../../core/data/text-file.ts";
import { createWarnings } from "../../../core/data/warnings.ts";
import { AdaloraError } from "../../../core/errors.ts";
import { readRegular } from "../../../core/io/regular-file.ts";
import { packTargets } from "../../../core/nn/source-target-batch.ts";
import { goldenText, tokenizerOf } from "./golden-file.ts";
import { Findings, type FileCheck, type GoldenFolder } from "./verdict.ts";

/** A text and its summary: in the record, or a row of a CSV file of summaries. */
interface SummaryRecord {
  readonly id: string;
  /** null: the record holds its texts. */
  readonly row: number | null;
  readonly source?: string;
  readonly target?: string;
  readonly max_source_length: number;
  readonly max_target_length: number;
  /** Padded to the lengths: the labels with -100. */
  readonly padded?: true;
  readonly input_ids: readonly number[];
  readonly attention_mask?: readonly number[];
  readonly labels: readonly number[];
  readonly decoder_input_ids: readonly number[];
}

/** Where another conversion's ids differ: a line of the main file. */
interface OtherRecord {
  readonly line: number;
  readonly id: string;
}

/** BART's decoder starts with this token. */
const start = 2;

/** `seq2seq.jsonl`: ids of texts and summaries, labels, and what the decoder reads. */
export const checkSeq2Seq: FileCheck = async (folder, file) => {
  const findings = new Findings();
  const records = recordsOf(folder, file);
  const data = await rowsFor(folder, records);
  for (const record of records) await compare(folder, record, data, findings);
  return findings.verdict(records.length, data === undefined ? undefined : `rows of ${data.file}`);
};

/** `seq2seq-diff.jsonl`: records that other conversions split otherwise. Ours must be the main file's. */
export const checkSeq2SeqDiff: FileCheck = async (folder, file) => {
  const findings = new Findings();
  const records = recordsOf(folder, "seq2seq.jsonl");
  const others: readonly OtherRecord[] = JSON.parse(goldenText(folder, file));
  const data = await rowsFor(folder, records);
  for (const { line, id } of others) {
    const record = records[line];
    findings.equal("id", `line ${line}`, record?.id, id);
    if (record !== undefined) await compare(folder, record, data, findings);
  }
  return findings.verdictOfDifferences(others.length);
};

const recordsOf = (folder: GoldenFolder, file: string): readonly SummaryRecord[] =>
  JSON.parse(goldenText(folder, file));

interface Rows {
  readonly file: string;
  readonly examples: readonly SummaryExample[];
}

/** The CSV file below SHARED/data whose rows have the records' ids, read through the program's reader. */
async function rowsFor(
  { shared }: GoldenFolder,
  records: readonly SummaryRecord[],
): Promise<Rows | undefined> {
  const data = join(shared, "data");
  const files = existsSync(data) ? readdirSync(data, { recursive: true, encoding: "utf8" }) : [];
  for (const file of files.filter((name) => name.endsWith(".csv")).toSorted()) {
    const path = join(data, file);
    const ids = await idsOf(path);
    const isTheirs = records.every(({ row, id }) => row === null || ids[row] === id);
    if (!isTheirs) continue;
    const { examples } = await readSummaries(fileSplit(path, "train"), { labels: "required" });
    return { file, examples };
  }
  return undefined;
}

/** The "id" column of a CSV file; none of one that has none, or that is no CSV. */
async function idsOf(path: string): Promise<readonly unknown[]> {
  try {
    const text = decodeText(readRegular(path), path);
    const table = delimitedTable(text, path, { format: "csv", warnings: createWarnings() });
    if (!table.columns.includes("id")) return [];
    return (await table.read(["id"])).map(({ cells: [id] }) => id);
  } catch (error) {
    if (error instanceof AdaloraError) return [];
    throw error;
  }
}

async function compare(
  folder: GoldenFolder,
  record: SummaryRecord,
  data: Rows | undefined,
  findings: Findings,
): Promise<void> {
  const { id, row, source: text, target: summary } = record;
  const example =
    row !== null
      ? data?.examples[row]
      : text === undefined || summary === undefined
        ? undefined
        : { index: 0, text, summary };
  if (example === undefined) {
    return findings.complain(`${id}: no file below ${folder.shared}/data has row ${row}`);
  }
  const got = await oursFor(folder, record, example);
  const { input_ids, attention_mask, labels, decoder_input_ids } = record;
  findings.equal("input_ids", id, got.inputIds, input_ids);
  findings.equal("labels", id, got.labels, labels);
  // The rows of ignored labels at the end are never made.
  const needed = decoder_input_ids.slice(
    0,
    labels.findLastIndex((one) => one !== ignoredLabel) + 1,
  );
  findings.equal("decoder_input_ids", id, got.decoderIds, needed);
  if (attention_mask === undefined) return;
  findings.equal("attention_mask", id, got.mask, attention_mask);
}

/** Our tokens of an example. The program never pads: where the record is padded, it is done here. */
async function oursFor(folder: GoldenFolder, record: SummaryRecord, example: SummaryExample) {
  const { max_source_length, max_target_length, padded = false } = record;
  const tokenizer = await tokenizerOf(folder, "bart");
  const { sources, targets } = summaryInputs([example]);
  if (targets === undefined) throw new Error(`${record.id} has no summary`);
  const lengths = [
    { maxLength: max_source_length, flag: "max-length" },
    { maxLength: max_target_length, flag: "max-target-length" },
  ] as const;
  const source = await encodeTexts(sources, tokenizer, lengths[0]);
  const target = await encodeTexts(targets, tokenizer, lengths[1]);
  const padId = tokenizer.specialIds.pad;
  const ids = Array.from(tokensOf(source, 0).ids);
  const own = Array.from(tokensOf(target, 0).ids);
  const pad = (list: readonly number[], length: number, value: number) =>
    padded ? [...list, ...Array.from({ length: length - list.length }, () => value)] : list;
  const labels = pad(own, max_target_length, ignoredLabel);
  return {
    inputIds: pad(ids, max_source_length, padId),
    mask: pad(
      ids.map(() => 1),
      max_source_length,
      0,
    ),
    labels,
    decoderIds: Array.from(packTargets([labels], { start, pad: padId }).target.ids),
  };
}
