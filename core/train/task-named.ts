import { generationTask } from "../tasks/generation-task.ts";
import { sequenceTask } from "../tasks/sequence-task.ts";
import { spanTask } from "../tasks/span-task.ts";
import type { RunConfig } from "./config.ts";
import type { kept } from "./settings.ts";
import type { RunTask } from "./task.ts";
import { isGenerationTask, isSpanTask } from "./task-names.ts";

/** The settings by which a task's data are read, trained on and predicted. */
export type TaskWishes = Pick<
  RunConfig,
  keyof typeof kept | "limit" | "evalLimit" | "labels" | "spanPadding" | "labelSmoothing"
>;

/** The task of a name: a recipe's, or the kind of data of one's own. */
export function taskNamed(name: string, wishes: TaskWishes): RunTask {
  if (isSpanTask(name)) return spanTask(name, wishes);
  if (isGenerationTask(name)) return generationTask(name, wishes);
  return sequenceTask(name, wishes);
}
