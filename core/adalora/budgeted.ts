import type { Buffer, Importance, MaskedMatrix } from "../backend.ts";
import type { Adapter } from "../nn/adapter.ts";
import type { Allocation, Allocator, AllocatorContext } from "./allocator.ts";
import { budgetAt, masksAt } from "./budget.ts";
import { viewsByRank } from "./triplet-scores.ts";

/** What tells one rule from another among those that follow AdaLoRA's budget. */
export interface TripletSelection {
  /** Averages that the rule needs the optimizer to update; a rule that needs none leaves it out. */
  importanceAt?(step: number): Importance | undefined;
  /** Sets the report's `kept` to 1 for the `budget` triplets to keep and 0 for others, and its threshold. */
  keep(budget: number): void;
  readonly state?: Readonly<Record<string, Buffer>>;
}

/**
 * An allocator with AdaLoRA's budget b(t) (paper eq. 14) and its masking steps, whatever triplets the
 * rule keeps. Without E (LoRA doublets) a row of A and a column of B are zeroed instead of an E.
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
        applyMask(); // the mask of step finalFrom, kept for good
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
  };
}

// --- internal ---

/** What a mask zeroes of an adapter: E alone, or a row of A and a column of B. */
function maskedOf({ a, e, b, rank }: Adapter, kept: Buffer): MaskedMatrix[] {
  if (e) return [{ param: e.buffer, kept, rows: rank, cols: 1, columns: false }];
  return [
    { param: a.buffer, kept, rows: rank, cols: a.shape[1] ?? 0, columns: false },
    { param: b.buffer, kept, rows: b.shape[0] ?? 0, cols: rank, columns: true },
  ];
}
