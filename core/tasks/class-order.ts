import { errors } from "../errors.ts";

/** How a model's classes map to a task's. */
export interface ClassOrder {
  /** For each class of the task, its index in the model; undefined where the order is the same. */
  readonly columns: readonly number[] | undefined;
  readonly warning?: string;
}

/**
 * Matches a model's class names, as its config has them, with a task's, ignoring case: third-party
 * models often order them differently. Generic names (LABEL_0, 0) mean the task's order. Throws
 * E_FILE if the numbers of classes differ.
 */
export function classOrder(
  modelClasses: readonly string[],
  taskClasses: readonly string[],
  where: string,
): ClassOrder {
  if (modelClasses.length !== taskClasses.length) {
    throw errors.file(
      where,
      `the model has ${modelClasses.length} classes, the task ${taskClasses.length} (${taskClasses.join(", ")})`,
      "--task names the task that the model was trained for",
    );
  }
  if (modelClasses.every((name, i) => /^(LABEL_)?\d+$/.test(name) && name.endsWith(String(i)))) {
    return { columns: undefined };
  }
  const lowered = modelClasses.map((name) => name.toLowerCase());
  const columns = taskClasses.map((name) => lowered.indexOf(name.toLowerCase()));
  if (columns.includes(-1)) {
    const warning = `${where}: the model's classes ${modelClasses.join(", ")} are read as ${taskClasses.join(", ")}, in this order`;
    return { columns: undefined, warning };
  }
  return { columns: columns.every((column, i) => column === i) ? undefined : columns };
}
