import type { AllocatorRule, AllocatorTable } from "../adalora/allocator.ts";
import { allocators } from "../adalora/allocators/index.ts";
import type { Start, StartTable } from "../adalora/start.ts";
import { starts } from "../adalora/starts/index.ts";
import { svdMethods, isOneOf, pruningMethods, startFor } from "../config/method.ts";
import type { RunConfig } from "../config/run-config.ts";
import { errors } from "../errors.ts";
import { builtInTasks } from "../tasks/index.ts";
import type { TaskDefinition } from "../tasks/task.ts";

/** Everything a run looks up by name. Callers may supply more entries than core has. */
export interface Registry {
  readonly tasks: readonly TaskDefinition[];
  readonly allocators: AllocatorTable;
  readonly starts: StartTable;
}

/** Everything that comes with the program. */
export const builtIn: Registry = { tasks: builtInTasks, allocators, starts };

/** The allocator of a run; undefined for methods with fixed ranks. Throws E_FLAG if unknown. */
export function allocatorOf(
  { method, allocator }: Pick<RunConfig, "method" | "allocator">,
  { allocators: table }: Pick<Registry, "allocators">,
): AllocatorRule | undefined {
  return isOneOf(method, pruningMethods)
    ? entryOf(table, allocator ?? "adalora", "allocator")
    : undefined;
}

/**
 * The start of a run's adapters; the default depends on method and task. Throws E_FLAG if it is
 * unknown, and E_CONFIG if it needs an E that the method lacks.
 */
export function startOf(
  { method, start, task }: Pick<RunConfig, "method" | "start" | "task">,
  { starts: table }: Pick<Registry, "starts">,
): Start {
  const hasE = isOneOf(method, svdMethods);
  const found = entryOf(table, start ?? startFor(method, task), "start");
  if (!found.needsE || hasE) return found;
  const others = Object.keys(table).filter((name) => table[name]?.needsE === false);
  const hint = `without E the increments would not start at zero: use --start ${others.join(" or ")}`;
  throw errors.unusable(`--start ${start}`, `method ${method}`, hint);
}

// --- internal ---

function entryOf<T>(table: Readonly<Record<string, T>>, name: string, flag: string): T {
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found) return found;
  throw errors.flag(flag, `must be one of ${Object.keys(table).join(", ")}, got "${name}"`);
}
