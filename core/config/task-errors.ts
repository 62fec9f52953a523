import { AdaloraError } from "../errors.ts";

/** How to choose the task of the user's own data. */
const TASK_CHOICES =
  "give --task: classification (classes), regression (scores), squad (answers in a context), squad_v2 (or no answer), summarization, or a recipe's name; --text-column, --pair-column and --label-column name columns";

/** Why no task is known for a run. */
export const taskErrors = {
  /** The user's own data, whose columns do not show the task. */
  undecidedTask(where: string, what: string) {
    return new AdaloraError("E_CONFIG", `no task given, and ${where} does not show it: ${what}`, {
      hint: TASK_CHOICES,
    });
  },

  /** No task, and no data to infer it from. */
  noTask() {
    return new AdaloraError("E_CONFIG", "no task given", {
      hint: `name a recipe, give --data, from whose columns the task is inferred, or ${TASK_CHOICES}`,
    });
  },
};
