/** What is trained: AdaLoRA, the paper's ablations and baselines of it. */
export const methods = [
  "adalora",
  "lora",
  "svd-lora",
  "prune-lora",
  "bitfit",
  "head",
  "full",
] as const;

export type Method = (typeof methods)[number];

/** Methods that add low-rank matrices to the model's linear layers. */
export const adapting = ["adalora", "lora", "svd-lora", "prune-lora"] as const;

/** Methods that train an SVD form, `B·diag(E)·A`, and so can ask for orthogonal factors. */
export const decomposing = ["adalora", "svd-lora"] as const;

/** Methods that start above their rank budget and prune down to it. */
export const pruning = ["adalora", "prune-lora"] as const;

/** Whether `method` is one of `those`; narrows no further than the list does. */
export function isOneOf<M extends Method>(method: Method, those: readonly M[]): method is M {
  return those.some((one) => one === method);
}
