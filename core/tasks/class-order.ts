import { errors } from "../errors.ts";

/** How a model's classes stand to a task's. */
export interface ClassOrder {
  /** For each class of the task, the model's number of it; undefined where the numbers are the same. */
  readonly columns: readonly number[] | undefined;
  readonly warning?: string;
}

/**
 * Matches the classes of a model, by the names that its config gives them, with those of a task: models of others often have
 * another order. Names that say nothing (LABEL_0, 0) stand for the task's order. Throws E_FILE for another number of classes.
 */
export function classOrder(
  own: readonly string[],
  expected: readonly string[],
  where: string,
): ClassOrder {
  if (own.length !== expected.length) {
    throw errors.file(
      where,
      `the model has ${own.length} classes, the task ${expected.length} (${expected.join(", ")})`,
      "--task names the task that the model was trained for",
    );
  }
  if (own.every((name, i) => /^(LABEL_)?\d+$/.test(name) && name.endsWith(String(i)))) {
    return { columns: undefined };
  }
  const plain = own.map((name) => name.toLowerCase());
  const columns = expected.map((name) => plain.indexOf(name.toLowerCase()));
  if (columns.includes(-1)) {
    const warning = `${where}: the model's classes ${own.join(", ")} are taken for ${expected.join(", ")}, in this order`;
    return { columns: undefined, warning };
  }
  return { columns: columns.every((column, i) => column === i) ? undefined : columns };
}
