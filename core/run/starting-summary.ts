import type { RunConfig } from "../config/run-config.ts";
import { isConverted, type PrunedTriplets } from "../model/starting-layers.ts";
import type { StartingAdapter } from "./starting-adapter.ts";

/** What a run takes from the adapter that it starts from. */
export interface StartingSummary {
  /** The adapter's folder or name, as the user gave it. */
  readonly name: string;
  readonly method: "adalora" | "lora";
  /** Triplets of an AdaLoRA, or ranks of a LoRA, summed over its layers. */
  readonly triplets: number;
  /** The same before its training pruned any. */
  readonly initialTriplets: number;
  /** What is done with them: "svd" makes a LoRA's increments triplets. */
  readonly conversion: PrunedTriplets | "svd" | "none";
  /** Modules whose weights it holds in full, by their paths. */
  readonly saved: readonly string[];
}

/** Summarizes the adapter that a run starts from. */
export function startingSummary(
  { dir, adapter, saved }: StartingAdapter,
  { from, fromPruned, method }: RunConfig,
): StartingSummary {
  const triplets = adapter.modules.reduce((sum, { A }) => sum + (A.shape[0] ?? 0), 0);
  const isAdaLora = adapter.method === "adalora";
  const conversion = isConverted(adapter, method)
    ? "svd"
    : isAdaLora
      ? (fromPruned ?? "kept")
      : "none";
  const paths = Array.from(saved.keys(), (name) => name.slice(0, name.lastIndexOf(".")));
  return {
    name: from ?? dir,
    method: adapter.method,
    triplets,
    initialTriplets: isAdaLora ? adapter.initRank * adapter.modules.length : triplets,
    conversion,
    saved: [...new Set(paths)],
  };
}
