import type { SquadExample } from "../../../core/data/squad-question.ts";
import { tokensOf } from "../../../core/data/token-cache.ts";
import { trainFeatures, validationFeatures } from "../../../core/qa/features.ts";
import { goldenText, tokenizerOf } from "./golden-file.ts";
import { goldenExamples } from "./squad-examples.ts";
import { Findings, type FileCheck, type GoldenFolder } from "./verdict.ts";

/** A window. The script's padded labels, where they differ, stand under `padded`: nothing of ours is padded. */
interface FeatureRecord extends Readonly<Record<string, unknown>> {
  readonly max_seq_length: number;
  readonly doc_stride: number;
  readonly example_id: string;
}

/** Where another conversion's windows differ: a line of the main file. */
interface OtherRecord {
  readonly line: number;
  readonly example_id: string;
}

/** Our windows of some questions, with the fields of the golden records. */
type Features = (
  folder: GoldenFolder,
  examples: readonly SquadExample[],
  sizes: { readonly maxLength: number; readonly stride: number },
) => Promise<Readonly<Record<string, unknown>>[]>;

const trainRecords: Features = async (folder, examples, sizes) => {
  const tokenizer = await tokenizerOf(folder, "deberta");
  const { tokens, exampleOf, start, end } = await trainFeatures(examples, tokenizer, sizes);
  return Array.from(exampleOf, (example, f) => {
    const { ids, typeIds } = tokensOf(tokens, f);
    return {
      example_id: examples[example]?.id,
      input_ids: Array.from(ids),
      token_type_ids: Array.from(typeIds),
      start_position: start[f],
      end_position: end[f],
    };
  });
};

const validationRecords: Features = async (folder, examples, sizes) => {
  const tokenizer = await tokenizerOf(folder, "deberta");
  const features = await validationFeatures(examples, tokenizer, sizes);
  const { tokens, exampleOf, contextFirst, contextEnd, textStart, textEnd } = features;
  return Array.from(exampleOf, (example, f) => {
    const row = tokens.offsets[f]!;
    const [first, behind] = [contextFirst[f]!, contextEnd[f]!];
    const { length } = tokensOf(tokens, f).ids;
    return {
      example_id: examples[example]?.id,
      length,
      context_tokens: first === behind ? null : [first, behind - 1],
      offset_mapping: Array.from({ length }, (_, i) =>
        i < first || i >= behind ? null : [textStart[row + i], textEnd[row + i]],
      ),
    };
  });
};

/** `squad-train.jsonl`: ids and answer positions of every window. */
export const checkSquadTrain: FileCheck = (folder, file) => checkAll(folder, file, trainRecords);

/** `squad-valid.jsonl`: where the text of every token of the context is. */
export const checkSquadValid: FileCheck = (folder, file) =>
  checkAll(folder, file, validationRecords);

/** `squad-train-diff.jsonl`: windows that other conversions make otherwise. Ours must be the main file's. */
export const checkSquadTrainDiff: FileCheck = (folder, file) =>
  checkDiff(folder, file, "squad-train.jsonl", trainRecords);

/** `squad-valid-diff.jsonl`. */
export const checkSquadValidDiff: FileCheck = (folder, file) =>
  checkDiff(folder, file, "squad-valid.jsonl", validationRecords);

async function checkAll(folder: GoldenFolder, file: string, features: Features) {
  const findings = new Findings();
  const records = recordsOf(folder, file);
  const ours = await oursFor(folder, records, features, findings);
  for (const [line, record] of records.entries()) compare(record, ours.get(record), line, findings);
  return findings.verdict(records.length);
}

async function checkDiff(folder: GoldenFolder, file: string, main: string, features: Features) {
  const findings = new Findings();
  const records = recordsOf(folder, main);
  const others: readonly OtherRecord[] = JSON.parse(goldenText(folder, file));
  const ours = await oursFor(folder, records, features, findings);
  for (const { line, example_id: id } of others) {
    const record = records[line];
    findings.equal("example_id", `line ${line} of ${main}`, record?.example_id, id);
    if (record !== undefined) compare(record, ours.get(record), line, findings);
  }
  return findings.verdictOfDifferences(others.length);
}

const recordsOf = (folder: GoldenFolder, file: string): readonly FeatureRecord[] =>
  JSON.parse(goldenText(folder, file));

/** Our window for each record: those of one size are the windows of their questions, in order. */
async function oursFor(
  folder: GoldenFolder,
  records: readonly FeatureRecord[],
  features: Features,
  findings: Findings,
) {
  const examples = new Map(goldenExamples(folder).map((example) => [example.id, example]));
  const ours = new Map<FeatureRecord, Readonly<Record<string, unknown>> | undefined>();
  const sizeOf = (record: FeatureRecord) => `${record.max_seq_length}/${record.doc_stride}`;
  for (const [size, group] of Map.groupBy(records, sizeOf)) {
    const ids = [...new Set(group.map((record) => record.example_id))];
    const chosen = ids.flatMap((id) => examples.get(id) ?? []);
    const [maxLength = 0, stride = 0] = size.split("/").map(Number);
    const windows = await features(folder, chosen, { maxLength, stride });
    findings.equal("windows", size, windows.length, group.length);
    group.forEach((record, i) => ours.set(record, windows[i]));
  }
  return ours;
}

const notOurs: ReadonlySet<string> = new Set(["max_seq_length", "doc_stride", "padded"]);

function compare(
  record: FeatureRecord,
  got: Readonly<Record<string, unknown>> | undefined,
  line: number,
  findings: Findings,
): void {
  for (const [field, value] of Object.entries(record)) {
    if (notOurs.has(field)) continue;
    findings.equal(field, `line ${line}, ${record.example_id}`, got?.[field], value);
  }
}
