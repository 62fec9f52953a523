import type { Averages, Backend, Buffer } from "../backend.ts";
import { invariant } from "../errors.ts";
import type { ParameterArena } from "../optim/parameter-arena.ts";
import type { Parameter } from "../tensor.ts";
import { type Adapter, adapterParameters } from "./adapter.ts";
import { type BudgetSchedule, budgetAt, masksAt } from "./budget.ts";

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
  /** After each optimizer step, gradients still in place. Returns the budget, and whether triplets were masked. */
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
  readonly #adapters: readonly Adapter[];
  readonly #options: AllocatorOptions;
  readonly #report: AllocatorReport;
  readonly #scores: Buffer;
  readonly #length: number;
  readonly #averages: Averages;

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
    this.#adapters = adapters;
    this.#options = options;
    this.#report = report;
    this.#length = adapters.flatMap(adapterParameters).reduce((sum, p) => sum + p.length, 0);
    this.#scores = backend.alloc(backend.master, options.schedule.initial);
    const sensitivity = backend.alloc(backend.master, this.#length);
    const uncertainty = backend.alloc(backend.master, this.#length);
    backend.zero(sensitivity);
    backend.zero(uncertainty);
    this.#averages = { sensitivity, uncertainty };
    this.state = { sensitivity, uncertainty };
  }

  afterStep(step: number): { budget: number; masked: boolean } {
    const { schedule, semantics, importance } = this.#options;
    const finalFrom = schedule.steps - schedule.finalTuning;
    if (step < finalFrom && importance !== "magnitude") this.#observe();
    const budget = budgetAt(step, schedule);
    if (semantics === "peft" && step > finalFrom) {
      this.applyMask(); // the mask of step finalFrom, kept for good
      return { budget: schedule.target, masked: true };
    }
    const forced = semantics === "peft" && step === finalFrom;
    if (!forced && !masksAt(step, schedule)) return { budget, masked: false };
    this.#score();
    this.#backend.keepTop(this.#scores, budget, this.#report.kept, this.#report.threshold);
    this.applyMask();
    return { budget, masked: true };
  }

  #observe(): void {
    const part = (buffer: Buffer) => this.#backend.view(buffer, 0, this.#length);
    const { beta1, beta2 } = this.#options;
    this.#backend.updateImportance(
      part(this.#arena.values),
      part(this.#arena.gradients),
      this.#averages,
      beta1,
      beta2,
    );
  }

  #score(): void {
    let at = 0;
    for (const { a, e, b, rank } of this.#adapters) {
      const scores = this.#backend.view(this.#scores, at, rank);
      at += rank;
      if (this.#options.importance === "magnitude" && e) {
        this.#backend.absolute(e.buffer, scores);
        continue;
      }
      const shape = {
        rank,
        inFeatures: a.shape[1] ?? 0,
        outFeatures: b.shape[0] ?? 0,
        uncertainty: this.#options.importance === "ipt",
      };
      this.#backend.tripletScores(
        this.#averagesOf(a),
        e && this.#averagesOf(e),
        this.#averagesOf(b),
        scores,
        shape,
      );
    }
  }

  #averagesOf(parameter: Parameter): Averages {
    return {
      sensitivity: this.#arena.partOf(this.#averages.sensitivity, parameter),
      uncertainty: this.#arena.partOf(this.#averages.uncertainty, parameter),
    };
  }

  /** Zeroes what the last mask pruned. */
  applyMask(): void {
    let at = 0;
    for (const { a, e, b, rank } of this.#adapters) {
      const kept = this.#backend.view(this.#report.kept, at, rank);
      at += rank;
      const mask = (p: Parameter, rows: number, cols: number, columns: boolean) =>
        this.#backend.applyMask(p.buffer, kept, { rows, cols, columns });
      if (e) mask(e, rank, 1, false);
      else {
        mask(a, rank, a.shape[1] ?? 0, false);
        mask(b, b.shape[0] ?? 0, rank, true);
      }
    }
  }
}
