import { generationTask } from "./generation-task.ts";
import { sequenceTask } from "./sequence-task.ts";
import { spanTask } from "./span-task.ts";
import type { TaskOptions } from "./task-options.ts";
import type { RunTask } from "./task.ts";
import { isGenerationTask, isSpanTask } from "../config/task-names.ts";

/** The task of a name: a recipe's, or the kind of data of one's own. */
export function taskNamed(name: string, settings: TaskOptions): RunTask {
  if (isSpanTask(name)) return spanTask(name, settings);
  if (isGenerationTask(name)) return generationTask(name, settings);
  return sequenceTask(name, settings);
}
