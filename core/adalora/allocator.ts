import type { Backend, Buffer, Importance } from "../backend.ts";
import type { Adapter } from "../nn/adapter.ts";
import type { ParameterArena } from "../optim/parameter-arena.ts";
import type { BudgetSchedule } from "./budget.ts";

export type ImportanceMetric = "ipt" | "sensitivity" | "magnitude";

/** A run's settings for the rule that allocates its ranks; a rule uses those that it needs. */
export interface AllocatorSettings {
  readonly schedule: BudgetSchedule;
  /** Smoothing of the sensitivity and of its uncertainty. */
  readonly beta1: number;
  readonly beta2: number;
  readonly importance: ImportanceMetric;
  /** "peft" keeps the first mask of the final phase; "reference" scores anew at each of its steps. */
  readonly semantics: "reference" | "peft";
  readonly seed: number;
}

/** Device buffers that an allocator writes for the step's report, which is downloaded once. */
export interface AllocatorReport {
  /** [sum of ranks]: 1 where the last mask kept a triplet. Not derived from E: Adam revives masked E's. */
  readonly kept: Buffer;
  /** [1]: threshold of the last mask; NaN where there is none. */
  readonly threshold: Buffer;
}

/** Everything that a rule works on. */
export interface AllocatorContext {
  readonly backend: Backend;
  /** Values, gradients and moments of all that is trained; the adapters' E's come first. */
  readonly arena: ParameterArena;
  readonly adapters: readonly Adapter[];
  readonly report: AllocatorReport;
  readonly settings: AllocatorSettings;
}

/** What one step did to the ranks. */
export interface Allocation {
  /** Triplets allowed in all adapters together. */
  readonly budget: number;
  readonly masked: boolean;
}

/** Decides during training which triplets keep their rank. The trainer knows nothing else of a rule. */
export interface Allocator {
  /** Averages that the optimizer's pass of this step must update; undefined for none. */
  importanceAt(step: number): Importance | undefined;
  /** Called after each optimizer step, with the clipped gradients still in the arena. */
  afterStep(step: number): Allocation;
  /** Zeroes what the last mask pruned. */
  applyMask(): void;
  /** State beside the parameters, by name, which checkpoints save and restore. */
  readonly state: Readonly<Record<string, Buffer>>;
}

/** A rule for ranks, as a table offers it by name. */
export interface AllocatorRule {
  /** Completes a help line: "by importance (the paper's)". */
  readonly about: string;
  create(context: AllocatorContext): Allocator;
}

/** Rules by the name that `--allocator` takes. */
export type AllocatorTable = Readonly<Record<string, AllocatorRule>>;
