import type { Backend, Buffer } from "../backend.ts";
import type { AdamWStep, Importance } from "../kernels/training.ts";
import { invariant } from "../errors.ts";
import type { ParameterArena } from "./parameter-arena.ts";

/** The settings of AdamW that stay constant through a run. */
export type AdamWOptions = Omit<AdamWStep, "lr" | "t">;

/**
 * Updates every trained value; `t` counts updates from 1. `importance` has the averages of the
 * arena's first values, all of which must have weight decay.
 */
export function adamwStep(
  backend: Backend,
  arena: ParameterArena,
  options: AdamWOptions,
  { lr, t }: { lr: number; t: number },
  importance?: Importance,
): void {
  const { decayLength, length } = arena;
  const withImportance = importance?.sensitivity.length ?? 0;
  invariant(withImportance <= decayLength, "values without weight decay have no importance");
  const update = (from: number, to: number, weightDecay: number, averages?: Importance) => {
    if (from === to) return;
    const part = (buffer: Buffer) => backend.view(buffer, from, to - from);
    const step = { ...options, weightDecay, lr, t };
    backend.adamw(
      part(arena.values),
      part(arena.gradients),
      part(arena.firstMoments),
      part(arena.secondMoments),
      step,
      averages,
    );
  };
  update(0, withImportance, options.weightDecay, importance);
  update(withImportance, decayLength, options.weightDecay);
  update(decayLength, length, 0);
}
