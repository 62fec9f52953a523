import { errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";
import { jsonFault } from "../io/json-fault.ts";
import { guessText } from "../nearest.ts";
import { isJsonObject, type JsonObject } from "../io/json-file.ts";
import { readRegular } from "../io/regular-file.ts";
import { type ColumnOptions, wrongDelimiter } from "./columns.ts";
import type { DataSplit } from "./examples.ts";
import { columnsToKeep, type KeptCells, keptCells, pickCells } from "./kept-columns.ts";
import { type DataSource, formatOf, openTable, sourceName } from "./open-table.ts";
import { documentQuestions } from "./squad-document.ts";
import { questionChecker, type SquadExample } from "./squad-question.ts";
import type { RawQuestion } from "./squad-raw.ts";
import { attemptRow } from "./row-observer.ts";
import { quoted, type Table } from "./table.ts";
import { decodeText } from "./text-file.ts";
import { createWarnings, type Warnings } from "./warnings.ts";

/** The checked questions of a split. */
export interface SquadSet {
  readonly examples: readonly SquadExample[];
  /** Whether the answers of all examples are known. */
  readonly isLabelled: boolean;
  /** One line per kind of suspicious but usable content. */
  readonly warnings: readonly string[];
  /** [n] the cells that the split keeps, if it keeps any. */
  readonly kept?: readonly KeptCells[] | undefined;
}

/**
 * What to read. Columns apply to tables: text is the question, pair the context, label the answers.
 */
export interface SquadSpec extends Omit<ColumnOptions, "task"> {
  /** Whether a context may lack the answer, as in SQuAD 2.0. */
  readonly unanswerable: boolean;
  /** Read at most this many examples, from the start. */
  readonly limit?: number | undefined;
}

/**
 * Reads and checks every question of a split: SQuAD's nested JSON, or a table of any format (JSON
 * lines, parquet, …) with the columns "question", "context", "answers" and optionally "id". Throws
 * E_FILE naming file and line (or row) on an answer that is not at its offset, a duplicate id, and
 * anything else that could fail a run later.
 */
export async function readSquad(split: DataSplit, spec: SquadSpec): Promise<SquadSet> {
  const warnings = createWarnings();
  const { labels, unanswerable } = spec;
  const check = questionChecker({ labels, unanswerable, warn: lazyWarnings(warnings) });
  const examples: SquadExample[] = [];
  const cells: KeptCells[] = [];
  for (const source of split.files) {
    for await (const raw of await questionsIn(source, split, spec, warnings)) {
      const example = attemptRow(() => check(raw, examples.length), spec.observer);
      if (example === undefined) continue;
      // a document may be one line: the id tells questions apart
      const id = raw.id === null ? "" : `, question "${cutText(example.id)}"`;
      spec.observer?.onRow(() => raw.location() + id);
      examples.push(example);
      if (split.keep !== undefined) cells.push(raw.cells());
    }
  }
  const [first] = split.files;
  if (examples.length === 0) throw errors.file(sourceName(first ?? "data"), "no questions");
  const limited = spec.limit === undefined ? examples : examples.slice(0, spec.limit);
  const isLabelled = limited.every(({ answers }) => answers !== undefined);
  const kept =
    split.keep && pickCells(cells, split.keep, sourceName(first ?? "data")).slice(0, spec.limit);
  return { examples: limited, isLabelled, warnings: warnings.lines(), kept };
}

/** The column names of a table: the user's, otherwise the hub's. */
export const squadColumns = ({
  textColumn,
  pairColumn,
  labelColumn,
}: Pick<SquadSpec, "textColumn" | "pairColumn" | "labelColumn">) => ({
  question: textColumn ?? "question",
  context: pairColumn ?? "context",
  answers: labelColumn ?? "answers",
});

/** Finding a location scans the file, so only the first of a kind is located. */
function lazyWarnings(warnings: Warnings) {
  const reported = new Set<string>();
  return (kind: string, location: () => string, message: string) => {
    warnings.add(kind, reported.has(kind) ? "" : location(), message);
    reported.add(kind);
  };
}

async function questionsIn(
  source: DataSource,
  split: DataSplit,
  spec: SquadSpec,
  warnings: Warnings,
): Promise<Iterable<RawQuestion> | AsyncIterable<RawQuestion>> {
  const name = sourceName(source);
  const bytes = jsonBytes(source);
  if (bytes !== undefined) {
    const text = decodeText(bytes, name);
    const root = documentIn(text, name, spec);
    if (root !== undefined) return documentQuestions(root, text, name);
  }
  const opened = bytes === undefined ? source : { name, bytes };
  const { delimiter, observer } = spec;
  const options = { role: split.role, hasHeader: true, delimiter, observer, warnings };
  const table = await openTable(opened, options);
  return tableQuestions(table, spec, columnsToKeep(table, split.keep));
}

/** The bytes of a file that may be a JSON document; undefined for other formats. */
function jsonBytes(source: DataSource): Uint8Array<ArrayBuffer> | undefined {
  if (typeof source !== "string") {
    // a byte order mark and white space may come first
    const start = new TextDecoder().decode(source.bytes.subarray(0, 1024)).trimStart();
    return start.startsWith("{") ? source.bytes : undefined;
  }
  return formatOf(source) === "json" ? readRegular(source) : undefined;
}

/** The object that the whole text is; undefined when it is a list, or JSON lines. */
function documentIn(text: string, name: string, spec: SquadSpec): JsonObject | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  try {
    const root: unknown = JSON.parse(text);
    const isRow = isJsonObject(root) && Object.hasOwn(root, squadColumns(spec).question);
    return isJsonObject(root) && !isRow ? root : undefined;
  } catch (cause) {
    if (isJson(text.trimStart().split("\n", 1)[0] ?? "")) return undefined;
    throw notJson(text, name, cause);
  }
}

function notJson(text: string, name: string, cause: unknown) {
  const { line, isCutShort } = jsonFault(text) ?? {};
  const location = line === undefined ? name : `${name}:${line}`;
  if (isCutShort === true) {
    const hint = "download it again: its size should match the original's";
    return errors.file(location, "the file ends in the middle of the JSON", hint, cause);
  }
  const detail = cause instanceof Error ? cause.message.replace(/^JSON Parse error: /, "") : "";
  return errors.file(location, `the file is not valid JSON (${cutText(detail)})`, undefined, cause);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function* tableQuestions(
  table: Table,
  spec: SquadSpec,
  keep: readonly string[],
): AsyncGenerator<RawQuestion> {
  const keys = squadColumns(spec);
  const needed = [
    keys.question,
    keys.context,
    ...(spec.labels === "required" ? [keys.answers] : []),
  ];
  const missing = needed.filter((column) => !table.columns.includes(column));
  if (missing.length > 0) throw missingColumns(table, missing, spec);
  const requested = ["id", keys.question, keys.context, keys.answers, "is_impossible"];
  // of JSON lines the first one may lack what others have
  const columns = table.allColumns?.() ?? table.columns;
  const present = requested.filter((column) => columns.includes(column));
  const indices = requested.map((column) => present.indexOf(column));
  const hasId = present.includes("id");
  for (const { position, cells } of await table.read([...present, ...keep])) {
    const [id, question, context, answers, isImpossible] = indices.map((index) => cells[index]);
    // a null id in a file with ids is missing; RawQuestion uses null for a file without ids
    const known = hasId ? (id ?? undefined) : null;
    const location = () => table.location(position);
    const parts = { id: known, question, context, answers, isImpossible, keys };
    yield { ...parts, cells: () => keptCells(keep, cells.slice(present.length)), location };
  }
}

function missingColumns(table: Table, missing: readonly string[], { labels }: SquadSpec) {
  const answers = labels === "ignored" ? "" : ", --label-column (answers)";
  const noun = table.header?.noun ?? "layout";
  const location = table.header?.location ?? table.name;
  const wrong = wrongDelimiter(table);
  if (wrong !== undefined) return errors.file(location, wrong.rule, wrong.hint);
  return errors.file(
    location,
    `the ${noun} lacks the ${missing.length === 1 ? "column" : "columns"} ${quoted(missing)}: got ${quoted(table.columns)}`,
    `${guessText(missing, table.columns)}name other columns with --text-column (question), --pair-column (context)${answers}`,
  );
}
