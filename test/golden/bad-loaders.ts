import { readExamples } from "../../core/data/examples.ts";
import { glueTasks, isGlueTask } from "../../core/data/glue-tasks.ts";
import { fileSplit } from "../../core/data/splits.ts";
import { readSquad } from "../../core/data/squad.ts";
import { readSummaries } from "../../core/data/summaries.ts";

/** What a reader made of a file. */
export interface Loaded {
  /** As the index writes them: the texts and the label of each row; the text and its summary. */
  readonly rows: readonly (readonly unknown[])[];
  /** Question answering: every answer's text and offset. */
  readonly answers?: readonly (readonly unknown[])[];
  readonly warnings: readonly string[];
}

/** The program's way to read files of a kind. */
export interface Loader {
  readonly read: (path: string) => Promise<Loaded>;
  /** The recipe that reads such files. */
  readonly recipe: string;
}

/** The loader that a case names; undefined where it is none of ours. */
export function loaderOf(name: string, task: string | undefined): Loader | undefined {
  const [kind] = name.split("-");
  if (kind === "glue" && task !== undefined && isGlueTask(task)) return glueLoader(task);
  if (kind === "summarization") return { read: readRows, recipe: "xsum" };
  if (kind === "squad") return { read: readQuestions, recipe: "squad_v2" };
  return undefined;
}

function glueLoader(name: keyof typeof glueTasks): Loader {
  const task = glueTasks[name];
  const read = async (path: string): Promise<Loaded> => {
    const spec = { task, kind: task.kind, labels: "required" } as const;
    const { examples, warnings } = await readExamples(fileSplit(path, "train"), spec);
    const rows = examples.map(({ text, pair, label }) =>
      pair === undefined ? [text, label] : [text, pair, label],
    );
    return { rows, warnings };
  };
  return { read, recipe: name };
}

async function readRows(path: string): Promise<Loaded> {
  const { examples, warnings } = await readSummaries(fileSplit(path, "train"), {
    labels: "required",
  });
  return { rows: examples.map(({ text, summary }) => [text, summary]), warnings };
}

async function readQuestions(path: string): Promise<Loaded> {
  const spec = { labels: "required", unanswerable: true } as const;
  const { examples, warnings } = await readSquad(fileSplit(path, "train"), spec);
  return {
    rows: examples.map(({ id, question, context }) => [id, question, context]),
    answers: examples.flatMap(({ answers = [] }) =>
      answers.map(({ text, start }) => [text, start]),
    ),
    warnings,
  };
}
