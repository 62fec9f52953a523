import type { Backend, Buffer } from "../backend.ts";
import type { Adapter } from "../nn/adapter.ts";
import type { ParameterArena } from "../optim/parameter-arena.ts";
import type { BudgetSchedule } from "./budget.ts";
import type { Importance } from "../kernels/training.ts";

/** How triplets are scored: `ipt` multiplies sensitivity by its uncertainty; `magnitude` is |E|. */
export type ImportanceMetric = "ipt" | "sensitivity" | "magnitude";

/** Settings available to an allocation rule; a rule may use only some of them. */
export interface AllocatorSettings {
  readonly schedule: BudgetSchedule;
  /** Smoothing factors of the sensitivity (beta1) and of its uncertainty (beta2). */
  readonly beta1: number;
  readonly beta2: number;
  readonly importance: ImportanceMetric;
  /**
   * In the final phase "peft" keeps the first mask; "reference" rescores and masks at each step.
   */
  readonly semantics: "reference" | "peft";
  readonly seed: number;
}

/** Device buffers that an allocator writes, downloaded with the step's report. */
export interface AllocatorReport {
  /**
   * [sum of ranks]: 1 for triplets that the last mask kept. E cannot tell: Adam revives masked E's.
   */
  readonly kept: Buffer;
  /** [1]: score threshold of the last mask; NaN if it has none. */
  readonly threshold: Buffer;
}

/** Everything passed to a rule when it creates an allocator. */
export interface AllocatorContext {
  readonly backend: Backend;
  /** Values, gradients and moments of all trained parameters; the adapters' E's come first. */
  readonly arena: ParameterArena;
  readonly adapters: readonly Adapter[];
  readonly report: AllocatorReport;
  readonly settings: AllocatorSettings;
}

/** The rank allocation after one step. */
export interface Allocation {
  /** Triplets allowed over all adapters, or parameters where the schedule counts those. */
  readonly budget: number;
  /** Whether this step applied a mask. */
  readonly masked: boolean;
}

/** Decides during training which triplets to keep. The trainer's only interface to a rule. */
export interface Allocator {
  /** Averages that the optimizer must update at this step; undefined if none. */
  importanceAt(step: number): Importance | undefined;
  /** Called after each optimizer step, while the clipped gradients are still in the arena. */
  afterStep(step: number): Allocation;
  /** Zeroes the triplets that the last mask pruned. */
  applyMask(): void;
  /**
   * State besides the parameters, by name, in the master dtype; saved in checkpoints, which hold
   * nothing else of an allocator.
   */
  readonly state: Readonly<Record<string, Buffer>>;
  /** [sum of ranks]: each triplet's importance at the last mask; absent where a rule has none. */
  readonly scores?: Buffer | undefined;
}

/** A rank allocation rule, selectable by name. */
export interface AllocatorRule {
  /** Help text: "by importance over all matrices, as in the paper". */
  readonly about: string;
  create(context: AllocatorContext): Allocator;
}

/** Rules by `--allocator` name. */
export type AllocatorTable = Readonly<Record<string, AllocatorRule>>;
