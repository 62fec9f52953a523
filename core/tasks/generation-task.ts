import type { TaskWishes } from "../train/task-named.ts";
import type { GenerationTaskName } from "../train/task-names.ts";
import type { RunTask } from "../train/task.ts";

export function generationTask(name: GenerationTaskName, _wishes: TaskWishes): RunTask {
  throw new Error(`internal: ${name} is not built yet`);
}
