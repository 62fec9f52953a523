import type { WeightsOf } from "../core/run/run-weights.ts";

/** Names a run's weights: "last (step 24); --which best takes those of step 16". */
export function weightsText({ which, step, other }: WeightsOf): string {
  const used = step === undefined ? which : `${which} (step ${step})`;
  if (other === undefined) return used;
  const those = other.step === undefined ? "the others" : `those of step ${other.step}`;
  return `${used}; --which ${other.which} takes ${those}`;
}
