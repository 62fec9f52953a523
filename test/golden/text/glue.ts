import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Example, readExamples } from "../../../core/data/examples.ts";
import { type GlueTask, glueTasks, isGlueTask } from "../../../core/data/glue-tasks.ts";
import { fileSplit } from "../../../core/data/splits.ts";
import type { TextInput, Tokenizer } from "../../../core/text/tokenizer.ts";
import { goldenText, tokenizerOf } from "./golden-file.ts";
import { Findings, type FileCheck, type GoldenFolder } from "./verdict.ts";

/** A row of a task's split; its texts stand under the task's own keys, sentence1 and so on. */
interface GlueRecord extends Readonly<Record<string, unknown>> {
  readonly task: string;
  readonly split: string;
  readonly row: number;
  /** Default: the task's. */
  readonly max_length?: number;
  readonly label: number;
  readonly input_ids: readonly number[];
  readonly token_type_ids: readonly number[];
  readonly attention_mask: readonly number[];
}

/** Where another conversion's ids differ: a line of glue.jsonl. */
interface OtherRecord extends Pick<GlueRecord, "task" | "row"> {
  readonly line: number;
}

/** `glue.jsonl`: ids of rows as the task reads them, and, where the data are at hand, the rows themselves. */
export const checkGlue: FileCheck = async (folder, file) => {
  const tokenizer = await tokenizerOf(folder, "deberta");
  const findings = new Findings();
  const records: readonly GlueRecord[] = JSON.parse(goldenText(folder, file));
  for (const record of records) await compare(tokenizer, record, findings);
  const read = await compareRows(folder, records, findings);
  return findings.verdict(
    records.length,
    read.length > 0 ? `rows read from ${read.join(", ")}` : undefined,
  );
};

/** `glue-diff.jsonl`: rows that other conversions split otherwise. Ours must be the main file's. */
export const checkGlueDiff: FileCheck = async (folder, file) => {
  const tokenizer = await tokenizerOf(folder, "deberta");
  const findings = new Findings();
  const records: readonly GlueRecord[] = JSON.parse(goldenText(folder, "glue.jsonl"));
  const others: readonly OtherRecord[] = JSON.parse(goldenText(folder, file));
  for (const { line, task, row } of others) {
    const record = records[line];
    findings.equal("record", `line ${line}`, [record?.task, record?.row], [task, row]);
    if (record !== undefined) await compare(tokenizer, record, findings);
  }
  return findings.verdictOfDifferences(others.length);
};

async function compare(
  tokenizer: Tokenizer,
  record: GlueRecord,
  findings: Findings,
): Promise<void> {
  const where = `${record.task} ${record.split} row ${record.row}`;
  const task = taskOf(record.task);
  if (task === undefined) return findings.complain(`${where}: not a GLUE task`);
  const maxLength = record.max_length ?? task.maxLength;
  const [encoded] = await tokenizer.encode([inputOf(record, task)], { maxLength });
  const ids = Array.from(encoded?.ids ?? []);
  findings.equal("input_ids", where, ids, record.input_ids);
  findings.equal(
    "token_type_ids",
    where,
    Array.from(encoded?.typeIds ?? []),
    record.token_type_ids,
  );
  findings.equal(
    "attention_mask",
    where,
    ids.map(() => 1),
    record.attention_mask,
  );
}

function inputOf(record: GlueRecord, { columns: { text, pair } }: GlueTask): TextInput {
  return pair === undefined
    ? { text: String(record[text]) }
    : { text: String(record[text]), pair: String(record[pair]) };
}

const taskOf = (name: string) => (isGlueTask(name) ? glueTasks[name] : undefined);

/**
 * Reads the official files through the program's reader: text and label of each record's row must be the record's.
 * A file in `shared` may be of another data set than the goldens; it is compared when it holds most of their texts.
 * Returns the files that were.
 */
async function compareRows(
  { shared }: GoldenFolder,
  records: readonly GlueRecord[],
  findings: Findings,
): Promise<string[]> {
  const read: string[] = [];
  for (const [key, group] of Map.groupBy(records, ({ task, split }) => `${task}/${split}`)) {
    const [first] = group;
    const task = taskOf(first?.task ?? "");
    if (first === undefined || task === undefined) continue;
    const path = join(shared, "data/glue", task.folder, `${first.split}.tsv`);
    if (!existsSync(path)) continue;
    const raw = readFileSync(path, "utf8");
    const inside = group.filter((record) => raw.includes(inputOf(record, task).text));
    if (inside.length * 2 < group.length) continue;
    read.push(key);
    const examples = await readTask(path, task, first.split);
    for (const record of group) {
      const { text, pair } = inputOf(record, task);
      const got: Example | undefined = examples[record.row];
      const where = `${key} row ${record.row}`;
      findings.equal("text", where, [got?.text, got?.pair], [text, pair]);
      findings.equal("label", where, got?.label, record.label);
    }
  }
  return read;
}

async function readTask(path: string, task: GlueTask, split: string): Promise<readonly Example[]> {
  const source = fileSplit(path, split === "train" ? "train" : "validation");
  const { examples } = await readExamples(source, { task, kind: task.kind, labels: "required" });
  return examples;
}

interface GoldenTask {
  readonly dir: string;
  readonly keys: readonly string[];
  readonly labels: readonly string[] | null;
  readonly max_length: number;
  readonly header: boolean;
  readonly columns: Readonly<Record<string, string | number>>;
  readonly metrics: readonly string[];
}

/** `glue-tasks.json`: the table of the tasks. */
export const checkGlueTasks: FileCheck = (folder, file) => {
  const findings = new Findings();
  const golden: Readonly<Record<string, GoldenTask>> = JSON.parse(goldenText(folder, file));
  for (const [name, want] of Object.entries(golden)) {
    const task = taskOf(name);
    if (task === undefined) {
      findings.complain(`${name}: not a GLUE task`);
      continue;
    }
    const got: Readonly<Record<string, unknown>> = { ...goldenTask(task) };
    for (const [key, value] of Object.entries(want)) findings.equal(key, name, got[key], value);
  }
  return findings.verdict(Object.keys(golden).length);
};

function goldenTask({
  folder,
  columns,
  labelNames,
  maxLength,
  tsv,
  metrics,
}: GlueTask): GoldenTask {
  const { text, pair } = columns;
  const { columns: names, fields } = tsv;
  // without a header a column is its position
  const column = (name: string) => (fields === undefined ? name : fields.indexOf(name));
  return {
    dir: folder,
    keys: pair === undefined ? [text] : [text, pair],
    labels: labelNames ?? null,
    max_length: maxLength,
    header: fields === undefined,
    columns: {
      [text]: column(names.text),
      ...(pair === undefined || names.pair === undefined ? {} : { [pair]: column(names.pair) }),
      label: column(names.label),
    },
    metrics,
  };
}
