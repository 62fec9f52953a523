import type {
  Averages,
  Backend,
  Buffer,
  Importance,
  MaskedMatrix,
  Triplets,
} from "../../backend.ts";
import { invariant } from "../../errors.ts";
import type { ParameterArena } from "../../optim/parameter-arena.ts";
import type { Parameter } from "../../tensor.ts";
import { type Adapter, adapterParameters } from "../../nn/adapter.ts";
import { type BudgetSchedule, budgetAt, masksAt } from "../budget.ts";

export type ImportanceMetric = "ipt" | "sensitivity" | "magnitude";

export interface AllocatorOptions {
  readonly schedule: BudgetSchedule;
  readonly beta1: number;
  readonly beta2: number;
  readonly importance: ImportanceMetric;
  /** "peft" masks once at the start of final tuning and keeps that mask; "reference" scores it anew at each step. */
  readonly semantics: "reference" | "peft";
}

/** What an allocator may do: look at every step, decide at events, and be saved and resumed. Other rules can join AdaLoRA's. */
export interface Allocator {
  /** What the optimizer is to average in its pass of this step, over the numbers at the arena's start. */
  importanceAt(step: number): Importance | undefined;
  /** After each optimizer step. Returns the budget, and whether triplets were masked. */
  afterStep(step: number): { readonly budget: number; readonly masked: boolean };
  /** State beside the parameters, by name, for checkpoints. */
  readonly state: Readonly<Record<string, Buffer>>;
}

/** Device buffers that the allocator reports into: the step's scalars are downloaded with them, at once. */
export interface AllocatorReport {
  /** [sum of ranks]: 1 where a triplet was kept by the last mask. State of its own: Adam revives masked E's between masks. */
  readonly kept: Buffer;
  /** [1]: the threshold of the last mask. */
  readonly threshold: Buffer;
}

/**
 * AdaLoRA's rank allocation (paper algorithm 1): smooth the sensitivity |parameter * gradient| of every number and its
 * uncertainty, score each triplet (eq. 8), and zero E where the score is among the lowest.
 *
 * Follows the authors' code: parameters after the optimizer's step, gradients after clipping; no update in the final phase,
 * so that its masks are scored with frozen averages. Without E (LoRA doublets) a row of A and a column of B are zeroed instead.
 */
export class RankAllocator implements Allocator {
  readonly state: Readonly<Record<string, Buffer>>;
  readonly #backend: Backend;
  readonly #arena: ParameterArena;
  readonly #options: AllocatorOptions;
  readonly #report: AllocatorReport;
  readonly #scores: Buffer;
  readonly #importance: Importance;
  readonly #triplets: readonly Triplets[];
  readonly #masked: readonly MaskedMatrix[];

  /** The adapters' factors must lie at the arena's start, E's first. */
  constructor(
    backend: Backend,
    arena: ParameterArena,
    adapters: readonly Adapter[],
    report: AllocatorReport,
    options: AllocatorOptions,
  ) {
    const hasDoublets = adapters.some(({ e }) => e === undefined);
    invariant(options.importance !== "magnitude" || !hasDoublets, "magnitude scores need E");
    this.#backend = backend;
    this.#arena = arena;
    this.#options = options;
    this.#report = report;
    const length = adapters.flatMap(adapterParameters).reduce((sum, p) => sum + p.length, 0);
    this.#scores = backend.alloc(backend.master, options.schedule.initial);
    const sensitivity = backend.alloc(backend.master, length);
    const uncertainty = backend.alloc(backend.master, length);
    backend.zero(sensitivity);
    backend.zero(uncertainty);
    this.#importance = { sensitivity, uncertainty, beta1: options.beta1, beta2: options.beta2 };
    this.state = { sensitivity, uncertainty };
    const scoresOf = viewsByRank(backend, this.#scores, adapters);
    this.#triplets = adapters.map((adapter, i) => this.#tripletsOf(adapter, scoresOf[i]!));
    const keptOf = viewsByRank(backend, report.kept, adapters);
    this.#masked = adapters.flatMap((adapter, i) => maskedOf(adapter, keptOf[i]!));
  }

  /** The first step of final tuning. */
  get #finalFrom(): number {
    const { steps, finalTuning } = this.#options.schedule;
    return steps - finalTuning;
  }

  importanceAt(step: number): Importance | undefined {
    const observed = step < this.#finalFrom && this.#options.importance !== "magnitude";
    return observed ? this.#importance : undefined;
  }

  afterStep(step: number): { budget: number; masked: boolean } {
    const { schedule, semantics } = this.#options;
    const budget = budgetAt(step, schedule);
    if (semantics === "peft" && step > this.#finalFrom) {
      this.applyMask(); // the mask of step finalFrom, kept for good
      return { budget: schedule.target, masked: true };
    }
    const forced = semantics === "peft" && step === this.#finalFrom;
    if (!forced && !masksAt(step, schedule)) return { budget, masked: false };
    this.#score();
    this.#backend.keepTop(this.#scores, budget, this.#report.kept, this.#report.threshold);
    this.applyMask();
    return { budget, masked: true };
  }

  #score(): void {
    const { importance } = this.#options;
    if (importance === "magnitude") {
      const allE = this.#backend.view(this.#arena.values, 0, this.#scores.length);
      this.#backend.absolute(allE, this.#scores);
    } else this.#backend.tripletScores(this.#triplets, importance === "ipt");
  }

  #tripletsOf({ a, e, b, rank }: Adapter, scores: Buffer): Triplets {
    return {
      a: this.#averagesOf(a),
      e: e && this.#averagesOf(e),
      b: this.#averagesOf(b),
      scores,
      rank,
      inFeatures: a.shape[1] ?? 0,
      outFeatures: b.shape[0] ?? 0,
    };
  }

  #averagesOf(parameter: Parameter): Averages {
    return {
      sensitivity: this.#arena.partOf(this.#importance.sensitivity, parameter),
      uncertainty: this.#arena.partOf(this.#importance.uncertainty, parameter),
    };
  }

  /** Zeroes what the last mask pruned. */
  applyMask(): void {
    this.#backend.applyMask(this.#masked);
  }
}

// --- internal ---

/** The part of each adapter in a buffer of one number a triplet. */
function viewsByRank(backend: Backend, buffer: Buffer, adapters: readonly Adapter[]): Buffer[] {
  let at = 0;
  return adapters.map(({ rank }) => {
    at += rank;
    return backend.view(buffer, at - rank, rank);
  });
}

/** What a mask zeroes of an adapter: E alone, or a row of A and a column of B. */
function maskedOf({ a, e, b, rank }: Adapter, kept: Buffer): MaskedMatrix[] {
  if (e) return [{ param: e.buffer, kept, rows: rank, cols: 1, columns: false }];
  return [
    { param: a.buffer, kept, rows: rank, cols: a.shape[1] ?? 0, columns: false },
    { param: b.buffer, kept, rows: b.shape[0] ?? 0, cols: rank, columns: true },
  ];
}
