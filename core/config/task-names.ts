import { glueTasks } from "../data/glue-tasks.ts";

/** Kind of a task by its output: one per sequence, a span of a context, or a generated sequence. */
export type TaskKind = "sequence" | "span" | "generation";

const glueNames = Object.keys(glueTasks);
const ownDataNames = ["classification", "regression"];

/** Whether a task is a kind of the user's own data, rather than a data set of the paper. */
export function isOwnDataTask(name: string): boolean {
  return name === "summarization" || ownDataNames.includes(name);
}

/** Tasks with one output per sequence: GLUE's, and the kinds of the user's own data. */
export const sequenceTaskNames: readonly string[] = [...glueNames, ...ownDataNames];
/** Tasks of extractive question answering. */
export const spanTaskNames = ["squad", "squad_v2"] as const;
/** Tasks of summarization. */
export const generationTaskNames = ["xsum", "cnn_dailymail", "summarization"] as const;

/** A task of extractive question answering. */
export type SpanTaskName = (typeof spanTaskNames)[number];
/** A task of summarization. */
export type GenerationTaskName = (typeof generationTaskNames)[number];

/** All built-in tasks: recipe names, then the tasks of the user's own data. */
export const taskNames: readonly string[] = [
  ...glueNames,
  ...spanTaskNames,
  ...generationTaskNames,
  ...ownDataNames,
];

/** The kind of a built-in task; "sequence" for any other name. */
export function kindOf(name: string): TaskKind {
  if (spanTaskNames.some((one) => one === name)) return "span";
  return generationTaskNames.some((one) => one === name) ? "generation" : "sequence";
}

/** Default maximum tokens per example, for the kinds of tasks with long texts. */
export const defaultMaxLengths = { span: 384, generation: 1024 } as const;
