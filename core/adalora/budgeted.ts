import type { Buffer } from "../backend.ts";
import type { Adapter } from "../nn/adapter.ts";
import type { Allocation, Allocator, AllocatorContext } from "./allocator.ts";
import { budgetAt, masksAt } from "./budget.ts";
import { viewsByRank } from "./triplet-scores.ts";
import type { Importance, MaskedMatrix } from "../kernels/training.ts";

/** How a rule that follows AdaLoRA's budget selects the triplets to keep. */
export interface TripletSelection {
  /** Averages that the optimizer must update at this step; omitted by rules that need none. */
  importanceAt?(step: number): Importance | undefined;
  /**
   * Sets the report's threshold, and `kept` to 1 for triplets of `budget` in all, in the schedule's
   * unit, and to 0 for the rest.
   */
  keep(budget: number): void;
  /** Saved in checkpoints. */
  readonly state?: Readonly<Record<string, Buffer>>;
  /** [sum of ranks]: each triplet's importance, which `keep` updates. */
  readonly scores?: Buffer;
}

/**
 * Creates an allocator with AdaLoRA's budget b(t) (paper eq. 14) and masking steps; `selection`
 * picks the triplets. Without E (LoRA doublets) a mask zeroes a row of A and a column of B instead.
 */
export function createBudgetedAllocator(
  context: AllocatorContext,
  selection: TripletSelection,
): Allocator {
  const { backend, adapters, report, settings } = context;
  const { schedule, semantics } = settings;
  const keptOf = viewsByRank(backend, report.kept, adapters);
  const masked = adapters.flatMap((adapter, i) => maskedOf(adapter, keptOf[i]!));
  const finalFrom = schedule.steps - schedule.finalTuning;
  const applyMask = () => backend.applyMask(masked);

  return {
    importanceAt: (step) => selection.importanceAt?.(step),
    afterStep(step): Allocation {
      const budget = budgetAt(step, schedule);
      if (semantics === "peft" && step > finalFrom) {
        applyMask(); // the mask of step finalFrom, never recomputed
        return { budget: schedule.target, masked: true };
      }
      const forced = semantics === "peft" && step === finalFrom;
      if (!forced && !masksAt(step, schedule)) return { budget, masked: false };
      selection.keep(budget);
      applyMask();
      return { budget, masked: true };
    },
    applyMask,
    state: selection.state ?? {},
    scores: selection.scores,
  };
}

// --- internal ---

/** The matrices that a mask zeroes: E, or without it the rows of A and the columns of B. */
function maskedOf({ a, e, b, rank }: Adapter, kept: Buffer): MaskedMatrix[] {
  if (e) return [{ param: e.buffer, kept, rows: rank, cols: 1, columns: false }];
  return [
    { param: a.buffer, kept, rows: rank, cols: a.shape[1] ?? 0, columns: false },
    { param: b.buffer, kept, rows: b.shape[0] ?? 0, cols: rank, columns: true },
  ];
}
