import { sequenceTask, type SequenceWishes } from "../tasks/sequence-task.ts";
import type { RunTask } from "./task.ts";

/** The settings by which a task's data are read and its predictions made. */
export type TaskWishes = SequenceWishes;

/** The task of a name: a recipe's, or the kind of data of one's own. */
export function taskNamed(name: string, wishes: TaskWishes): RunTask {
  return sequenceTask(name, wishes);
}
