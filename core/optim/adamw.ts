import type { AdamWStep, Backend, Buffer } from "../backend.ts";
import type { ParameterArena } from "./parameter-arena.ts";

export type AdamWOptions = Omit<AdamWStep, "lr" | "t">;

/** One update of every trained number; `t` counts updates from 1. */
export function adamwStep(
  backend: Backend,
  arena: ParameterArena,
  options: AdamWOptions,
  { lr, t }: { lr: number; t: number },
): void {
  const update = (from: number, length: number, weightDecay: number) => {
    if (length === 0) return;
    const part = (buffer: Buffer) => backend.view(buffer, from, length);
    const step = { ...options, weightDecay, lr, t };
    backend.adamw(
      part(arena.values),
      part(arena.gradients),
      part(arena.firstMoments),
      part(arena.secondMoments),
      step,
    );
  };
  update(0, arena.decayLength, options.weightDecay);
  update(arena.decayLength, arena.length - arena.decayLength, 0);
}
