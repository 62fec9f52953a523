import { errors } from "../errors.ts";
import { generationTasks } from "./generation-task.ts";
import { sequenceTasks } from "./sequence-task.ts";
import { spanTasks } from "./span-task.ts";
import type { TaskOptions } from "./task-options.ts";
import type { Task, TaskDefinition } from "./task.ts";

/** The registry of built-in tasks; `core/config/task-names.ts` has their names and kinds. */
export const builtInTasks: readonly TaskDefinition[] = [
  ...sequenceTasks,
  ...spanTasks,
  ...generationTasks,
];

/**
 * Creates the task of a name; definitions: the registry to search. Throws E_FLAG for an unknown name.
 */
export function taskNamed(
  name: string,
  options: TaskOptions,
  definitions: readonly TaskDefinition[] = builtInTasks,
): Task {
  const definition = definitions.find((one) => one.name === name);
  if (definition) return definition.create(options);
  const known = definitions.map((one) => one.name).join(", ");
  throw errors.flag("task", `must be one of ${known}, got "${name}"`);
}
