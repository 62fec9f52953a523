import type { AdaLoraModule, LoraModule, PeftAdapter } from "../io/peft-adapter.ts";
import type { Linear } from "../nn/linear.ts";
import { type Factors, splitByParts } from "./fused-adapters.ts";

/** An adapter by the parts of fused layers. */
export interface SplitAdapter {
  readonly adapter: PeftAdapter;
  /** Fused layers that stay one adapter: columns of B reach into several parts. */
  readonly whole: readonly string[];
}

/**
 * Splits an adapter's modules of fused layers into their parts', where that is exact. Scales stay:
 * a LoRA's part has its share of alpha, an AdaLoRA's part the slots of the layer's mask that are
 * its own.
 */
export function splitFused(
  adapter: PeftAdapter,
  linears: ReadonlyMap<string, Pick<Linear, "parts">>,
): SplitAdapter {
  const whole: string[] = [];
  const split = <Module extends AdaLoraModule | LoraModule>(
    module: Module,
    part: (own: Factors, path: string, triplets: readonly number[]) => Module,
  ): readonly Module[] => {
    const linear = linears.get(module.path);
    const owned = linear && splitByParts(module, linear);
    if (!owned && linear && linear.parts.length > 0) whole.push(module.path);
    if (!owned || owned.length === 0) return [module];
    return owned.map(([{ path }, factors, triplets]) => part(factors, path, triplets));
  };
  if (adapter.method === "lora") {
    const modules = adapter.modules.flatMap((module) =>
      split(module, ({ A, B }, path, triplets) => {
        const share = triplets.length / (module.A.shape[0] ?? 1);
        return { ...module, path, A, B, alpha: module.alpha * share };
      }),
    );
    return { adapter: { ...adapter, modules }, whole };
  }
  const modules = adapter.modules.flatMap((module) => {
    const slots = [...module.mask.keys()].filter((slot) => module.mask[slot]);
    return split(module, ({ A, E = module.E, B }, path, triplets) => {
      const own = new Set(triplets.map((t) => slots[t]));
      return { ...module, path, A, E, B, mask: module.mask.map((_, slot) => own.has(slot)) };
    });
  });
  return { adapter: { ...adapter, modules }, whole };
}
