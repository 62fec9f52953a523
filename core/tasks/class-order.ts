import { errors } from "../errors.ts";

/** How a model's classes map to a task's. */
export interface ClassOrder {
  /** For each class of the task, its index in the model; undefined where the order is the same. */
  readonly columns: readonly number[] | undefined;
  readonly warning?: string;
}

/**
 * Matches a model's class names, as its config has them, with a task's: third-party models often
 * order them differently. Case is ignored where neither side has names that differ in it alone.
 * Generic names (LABEL_0, 0) mean the task's order. Throws E_FILE if the numbers of classes differ.
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
  const isGeneric = modelClasses.every((name, i) => name === String(i) || name === `LABEL_${i}`);
  const isSame = modelClasses.every((name, i) => name === taskClasses[i]);
  if (isGeneric || isSame) return { columns: undefined };
  const columns =
    columnsByName(modelClasses, taskClasses) ??
    columnsByName(modelClasses.map(lowered), taskClasses.map(lowered));
  if (columns === undefined) {
    const warning = `${where}: the model's classes ${modelClasses.join(", ")} are read as ${taskClasses.join(", ")}, in this order`;
    return { columns: undefined, warning };
  }
  return { columns: columns.every((column, i) => column === i) ? undefined : columns };
}

// --- internal ---

const lowered = (name: string) => name.toLowerCase();

/** The place of each class of the task among the model's; undefined unless each has its own. */
function columnsByName(
  modelClasses: readonly string[],
  taskClasses: readonly string[],
): readonly number[] | undefined {
  const columns = taskClasses.map((name) => modelClasses.indexOf(name));
  const isOneToOne = !columns.includes(-1) && new Set(columns).size === columns.length;
  return isOneToOne ? columns : undefined;
}
