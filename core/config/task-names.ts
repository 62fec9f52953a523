import { glueTasks } from "../data/glue-tasks.ts";

/** What a task is to a run: one output a sequence, an answer's span in a context, or a text that is written. */
export type TaskKind = "sequence" | "span" | "generation";

const spans = ["squad", "squad_v2"] as const;
const texts = ["xsum", "cnn_dailymail", "summarization"] as const;

export type SpanTaskName = (typeof spans)[number];
export type GenerationTaskName = (typeof texts)[number];

/** Tasks by their recipe's name, and the kinds for data of one's own. */
export const taskNames: readonly string[] = [
  ...Object.keys(glueTasks),
  ...spans,
  ...texts,
  "classification",
  "regression",
];

/** Whether a word is a task that answers questions: narrows it. */
export function isSpanTask(name: string): name is SpanTaskName {
  return spans.some((one) => one === name);
}

/** Whether a word is a task that writes texts: narrows it. */
export function isGenerationTask(name: string): name is GenerationTaskName {
  return texts.some((one) => one === name);
}

export function kindOf(name: string): TaskKind {
  if (isSpanTask(name)) return "span";
  return isGenerationTask(name) ? "generation" : "sequence";
}

/** Tokens of an example, where nothing sets them, for the kinds of tasks whose texts are long. */
export const usualLengths = { span: 384, generation: 1024 } as const;
