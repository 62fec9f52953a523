import { type DataSplit, type ReadSpec, readExamples } from "../data/examples.ts";
import { glueTasks, isGlueTask } from "../data/glue-tasks.ts";
import type { ReadRow } from "../data/repeated-rows.ts";
import type { RowObserver } from "../data/row-observer.ts";
import { readSquad, squadColumns } from "../data/squad.ts";
import { readSummaries } from "../data/summaries.ts";
import { AdaloraError } from "../errors.ts";
import { kindOf } from "../config/task-names.ts";
import { columnOptions, type TaskOptions } from "./task-options.ts";

/** The rows of a split, usable and unusable. */
export interface SplitRows {
  readonly rows: readonly ReadRow[];
  /** What each of `ReadRow.texts` is: "question", "context". */
  readonly parts: readonly string[];
  /** What `ReadRow.label` is where it is a text too: "summary". */
  readonly labelPart?: string;
  readonly problems: readonly AdaloraError[];
  readonly warnings: readonly string[];
  /** Classification: class names by index. */
  readonly labelNames: readonly string[] | undefined;
}

/** How a split's rows are read. */
export interface RowOptions {
  /** A task's name. */
  readonly task: string;
  readonly settings: Pick<
    TaskOptions,
    "textColumn" | "pairColumn" | "labelColumn" | "delimiter" | "labels" | "limit"
  >;
  /** The classes of the training split. */
  readonly labelNames: readonly string[] | undefined;
}

/**
 * Reads a split as a run would, without stopping at a bad row. A fault of a whole file, such as a
 * missing column, is the last problem.
 */
export async function readRows(split: DataSplit, options: RowOptions): Promise<SplitRows> {
  const problems: AdaloraError[] = [];
  const locations: (() => string)[] = [];
  const observer: RowObserver = {
    onProblem: (problem) => void problems.push(problem),
    onRow: (location) => void locations.push(location),
  };
  const { limit } = options.settings;
  const spec = {
    ...columnOptions(options.settings),
    ...(limit === null ? {} : { limit }),
    labels: split.role === "test" ? "optional" : "required",
    observer,
  } as const;
  const read = await attempt(() => readers[kindOf(options.task)](split, spec, options), problems);
  const rows = read.rows.map((row, i) => ({ ...row, location: locations[i] ?? (() => "") }));
  return { ...read, rows, problems };
}

// --- internal ---

async function attempt(read: () => Promise<Read>, problems: AdaloraError[]): Promise<Read> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
    problems.push(error);
    return { rows: [], parts: [], warnings: [], labelNames: undefined };
  }
}

type Spec = Omit<ReadSpec, "kind" | "task">;
type Read = Omit<SplitRows, "rows" | "problems"> & {
  readonly rows: readonly Omit<ReadRow, "location">[];
};

const readers = { sequence: sequenceRows, span: spanRows, generation: summaryRows };

async function sequenceRows(
  split: DataSplit,
  spec: Spec,
  { task: name, settings, labelNames }: RowOptions,
): Promise<Read> {
  const task = isGlueTask(name) ? glueTasks[name] : undefined;
  const kind = task?.kind ?? (name === "regression" ? "regression" : "classification");
  const known = labelNames ?? settings.labels ?? undefined;
  const set = await readExamples(split, { ...spec, task, kind, labelNames: known });
  const isPair = set.examples.some(({ pair }) => pair !== undefined);
  return {
    rows: set.examples.map(({ text, pair, label }) => ({
      texts: pair === undefined ? [text] : [text, pair],
      label: label === undefined ? label : (set.labelNames?.[label] ?? String(label)),
    })),
    parts: isPair ? ["text", "second text"] : ["text"],
    warnings: set.warnings,
    labelNames: set.labelNames,
  };
}

async function spanRows(split: DataSplit, spec: Spec, { task }: RowOptions): Promise<Read> {
  const { examples, warnings } = await readSquad(split, {
    ...spec,
    unanswerable: task === "squad_v2",
  });
  return {
    rows: examples.map(({ question, context, answers }) => ({
      texts: [question, context],
      label: answers && JSON.stringify(answers.map(({ text }) => text)),
    })),
    parts: [squadColumns({}).question, squadColumns({}).context],
    warnings,
    labelNames: undefined,
  };
}

async function summaryRows(split: DataSplit, spec: Spec): Promise<Read> {
  const { examples, warnings } = await readSummaries(split, spec);
  return {
    rows: examples.map(({ text, summary }) => ({ texts: [text], label: summary })),
    parts: ["text"],
    labelPart: "summary",
    warnings,
    labelNames: undefined,
  };
}
