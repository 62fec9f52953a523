import type { Backend, Buffer } from "../backend.ts";
import type { AdamWStep, Importance } from "../kernels/training.ts";
import { invariant } from "../errors.ts";
import type { ParameterArena } from "./parameter-arena.ts";

/** The settings of AdamW that stay constant through a run. */
export type AdamWOptions = Omit<AdamWStep, "lr" | "t">;

/** One update's learning rates and number. */
export interface AdamWUpdate {
  readonly lr: number;
  /** The rate of the arena's first parameters, the adapters' E's; undefined: `lr`. */
  readonly lrE?: number | undefined;
  /** Counts updates from 1. */
  readonly t: number;
}

/**
 * Updates every trained value. `importance` has the averages of the
 * arena's first values, all of which must have weight decay.
 */
export function adamwStep(
  backend: Backend,
  arena: ParameterArena,
  options: AdamWOptions,
  { lr, lrE = lr, t }: AdamWUpdate,
  importance?: Importance,
): void {
  const { firstLength, decayLength, length } = arena;
  const withImportance = importance?.sensitivity.length ?? 0;
  invariant(withImportance <= decayLength, "values without weight decay have no importance");
  const update = (from: number, to: number, weightDecay: number, rate = lr) => {
    if (from === to) return;
    const part = (buffer: Buffer) => backend.view(buffer, from, to - from);
    const step = { ...options, weightDecay, lr: rate, t };
    const averages = to <= withImportance ? importanceOf(importance, part) : undefined;
    backend.adamw(
      part(arena.values),
      part(arena.gradients),
      part(arena.firstMoments),
      part(arena.secondMoments),
      step,
      averages,
    );
  };
  // Equal rates need no pass of their own.
  const ownRate = lrE === lr ? 0 : firstLength;
  const others = Math.max(ownRate, withImportance);
  update(0, ownRate, options.weightDecay, lrE);
  update(ownRate, others, options.weightDecay);
  update(others, decayLength, options.weightDecay);
  update(decayLength, length, 0);
}

/** The averages of a part of the arena. */
function importanceOf(
  importance: Importance | undefined,
  part: (buffer: Buffer) => Buffer,
): Importance | undefined {
  if (!importance) return undefined;
  const { sensitivity, uncertainty } = importance;
  return { ...importance, sensitivity: part(sensitivity), uncertainty: part(uncertainty) };
}
