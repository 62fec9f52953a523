import { isOwnDataTask } from "./task-names.ts";

/** Training methods: AdaLoRA, and the paper's ablations and baselines. */
export const methods = [
  "adalora",
  "lora",
  "svd-lora",
  "prune-lora",
  "bitfit",
  "head",
  "full",
] as const;

/** A training method's name. */
export type Method = (typeof methods)[number];

/** Methods that add low-rank matrices to the model's linear layers. */
export const adapterMethods = ["adalora", "lora", "svd-lora", "prune-lora"] as const;

/** Methods that train an SVD form, `B·diag(E)·A`, with an orthogonality loss on its factors. */
export const svdMethods = ["adalora", "svd-lora"] as const;

/** Methods that start above their target rank and prune down to it. */
export const pruningMethods = ["adalora", "prune-lora"] as const;

/**
 * The default of `--start`: the paper's for its own tasks; LoRA's without E, and for the user's own
 * data, where most runs are too short to move E far from 0 (docs/allocation.md).
 */
export function startFor(method: Method, task: string | null): "paper" | "lora" {
  if (!isOneOf(method, svdMethods)) return "lora";
  return task !== null && isOwnDataTask(task) ? "lora" : "paper";
}

/** Whether `method` is in the list; narrows its type to the list's elements. */
export function isOneOf<M extends Method>(method: Method, those: readonly M[]): method is M {
  return those.some((one) => one === method);
}
