import type { Buffer } from "../backend.ts";
import { type Adapter, adapterParameters } from "../nn/adapter.ts";
import type { AllocatorContext } from "./allocator.ts";

/** Parameters of one triplet of an adapter: a row of A, a column of B, and its E if it has one. */
export function tripletCost(adapter: Adapter): number {
  const length = adapterParameters(adapter).reduce((sum, parameter) => sum + parameter.length, 0);
  return length / adapter.rank;
}

/**
 * The cost of each triplet [sum of ranks] where the budget counts parameters; undefined where it
 * counts ranks, of which each triplet is one.
 */
export function uploadCosts({
  backend,
  adapters,
  settings,
}: Pick<AllocatorContext, "backend" | "adapters" | "settings">): Buffer | undefined {
  if (settings.schedule.unit !== "parameters") return undefined;
  const costs = adapters.flatMap((adapter) => Array(adapter.rank).fill(tripletCost(adapter)));
  const buffer = backend.alloc(backend.master, costs.length);
  backend.upload(buffer, costs);
  return buffer;
}
