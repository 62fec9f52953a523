import type {
  Allocation,
  Allocator,
  AllocatorRule,
  AllocatorSettings,
} from "../adalora/allocator.ts";
import { addOrthogonality } from "../adalora/orthogonality.ts";
import type { Backend, Buffer } from "../backend.ts";
import { ForwardPass } from "../forward-pass.ts";
import { type Adapter, adapterParameters } from "../nn/adapter.ts";
import { type AdamWOptions, adamwStep } from "../optim/adamw.ts";
import { ParameterArena } from "../optim/parameter-arena.ts";
import { seedKey } from "../rng.ts";
import type { LabelledBatch, BatchLoss, WeightedBatch } from "../tasks/batch.ts";
import type { Parameter } from "../tensor.ts";

/** The rank allocation rule and its settings; the seed is the trainer's. */
export interface AllocatorOptions extends Omit<AllocatorSettings, "seed"> {
  readonly rule: AllocatorRule;
}

/** Options of the trainer. */
export interface TrainerOptions {
  readonly optimizer: AdamWOptions;
  /** Learning rate of a step, numbered from 0. */
  readonly learningRate: (step: number) => number;
  /** The same of the adapters' E's; undefined: as everything else. */
  readonly learningRateOfE?: ((step: number) => number) | undefined;
  /** 0 disables clipping. */
  readonly maxGradNorm: number;
  /** Coefficient of the orthogonality loss; 0 disables it. */
  readonly orthogonality: number;
  /** Matrices without triplets that its mean counts too; default 0. */
  readonly emptyMatrices?: number;
  readonly seed: number;
  /** Recomputes layers in the backward pass to save memory; results are bit-identical. */
  readonly checkpointing?: boolean;
  readonly allocator: AllocatorOptions | undefined;
}

/** Results of one optimizer step. */
export interface StepReport {
  readonly step: number;
  readonly taskLoss: number;
  /** R of the adapters, without its coefficient; 0 if disabled. */
  readonly orthogonalityLoss: number;
  /** Before clipping. */
  readonly gradNorm: number;
  readonly learningRate: number;
  /** The rate of the adapters' E's; undefined if they have none of their own. */
  readonly learningRateOfE: number | undefined;
  /** Sum of ranks that the allocator allows; undefined without an allocator. */
  readonly budget: number | undefined;
  /** Triplets with a score up to this one were pruned; undefined if none were. */
  readonly threshold: number | undefined;
  readonly masked: boolean;
}

/** Offsets in the report buffer; KEPT starts one element per triplet. */
const [TASK, ORTHOGONALITY, NORM, THRESHOLD, KEPT] = [0, 1, 2, 3, 4];

/**
 * Training state and the optimizer step: zero the gradients -> forward and backward of each
 * micro-batch -> orthogonality -> clip -> AdamW -> allocator. All values stay on the device; a step
 * downloads its report once.
 */
export class Trainer<Batch extends WeightedBatch = LabelledBatch> {
  readonly arena: ParameterArena;
  readonly adapters: readonly Adapter[];
  readonly allocator: Allocator | undefined;
  readonly #backend: Backend;
  readonly #options: TrainerOptions;
  readonly #lossOf: BatchLoss<Batch>;
  readonly #report: Buffer;
  readonly #sumOfSquares: Buffer;
  #step = 0;
  #passes = 0;

  constructor(
    backend: Backend,
    model: {
      adapters: readonly Adapter[];
      trained: readonly Parameter[];
      lossOf: BatchLoss<Batch>;
    },
    options: TrainerOptions,
  ) {
    this.#backend = backend;
    this.#options = options;
    this.#lossOf = model.lossOf;
    this.adapters = model.adapters;
    const diagonals = model.adapters.flatMap(({ e }) => e ?? []);
    const factors = model.adapters.flatMap((adapter) =>
      adapterParameters(adapter).filter((p) => p !== adapter.e),
    );
    this.arena = new ParameterArena(backend, diagonals, [...factors, ...model.trained]);
    const ranks = model.adapters.reduce((sum, { rank }) => sum + rank, 0);
    this.#report = backend.alloc(backend.master, KEPT + ranks);
    this.#sumOfSquares = backend.alloc(backend.master, 1);
    backend.upload(this.#report, new Float64Array(KEPT + ranks).fill(1));
    this.allocator = options.allocator?.rule.create({
      backend,
      arena: this.arena,
      adapters: model.adapters,
      report: {
        kept: backend.view(this.#report, KEPT, ranks),
        threshold: this.#scalar(THRESHOLD),
      },
      settings: { ...options.allocator, seed: options.seed },
    });
  }

  /** Optimizer steps taken. */
  get steps(): number {
    return this.#step;
  }

  /**
   * Takes one optimizer step. Gradients are averaged over the rows of all micro-batches, so the
   * step equals one on a single batch of the same rows.
   */
  step(microBatches: readonly Batch[]): StepReport {
    const { optimizer, maxGradNorm, orthogonality, emptyMatrices = 0 } = this.#options;
    const backend = this.#backend;
    const step = this.#step;
    const lr = this.#options.learningRate(step);
    const lrE = this.#options.learningRateOfE?.(step);
    const scalars = backend.view(this.#report, 0, THRESHOLD);
    backend.zero(scalars);
    this.arena.zeroGradients();
    this.#accumulate(microBatches);
    if (orthogonality > 0) {
      const matrices = this.adapters.length + emptyMatrices;
      const value = this.#scalar(ORTHOGONALITY);
      addOrthogonality(backend, this.adapters, orthogonality, value, matrices);
    }
    backend.sumOfSquares(this.arena.gradients, this.#sumOfSquares);
    backend.clipByNorm(this.arena.gradients, this.#sumOfSquares, maxGradNorm, this.#scalar(NORM));
    const importance = this.allocator?.importanceAt(step);
    adamwStep(backend, this.arena, optimizer, { lr, lrE, t: step + 1 }, importance);
    const decision = this.allocator?.afterStep(step);
    this.#step++;
    return this.#reportOf(step, { lr, lrE }, decision);
  }

  /** Applies the last mask again after training: Adam may have revived pruned triplets. */
  finish(): void {
    this.allocator?.applyMask();
  }

  /** Whether all trained values are finite. Downloads them: for checkpoints and failures. */
  isFinite(): boolean {
    const values = this.#backend.download(this.arena.values);
    for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
    return true; // `every` takes 20 times as long
  }

  /** The triplets of each adapter that the last mask kept. */
  kept(): readonly (readonly boolean[])[] {
    const kept = this.#backend.download(this.#report).subarray(KEPT);
    let offset = 0;
    return this.adapters.map(({ rank }) =>
      Array.from(kept.subarray(offset, (offset += rank)), (k) => k > 0),
    );
  }

  /**
   * Each triplet's |E|, [sum of ranks]; undefined for methods without E. Downloads it.
   */
  magnitudes(): Float64Array | undefined {
    if (this.adapters.some(({ e }) => e === undefined)) return undefined;
    const ranks = this.adapters.reduce((sum, { rank }) => sum + rank, 0);
    const values = this.#backend.download(this.#backend.view(this.arena.values, 0, ranks));
    return Float64Array.from(values, Math.abs);
  }

  /**
   * Each triplet's importance at the mask of the step just taken, [sum of ranks]; undefined where the
   * step updated none: without an allocator, with one that has no scores, and in the final phase.
   */
  importance(): Float64Array | undefined {
    const { allocator } = this;
    if (!allocator?.scores || !allocator.importanceAt(this.#step - 1)) return undefined;
    return Float64Array.from(this.#backend.download(allocator.scores));
  }

  /** Every buffer needed to resume exactly, by name. */
  get state(): Readonly<Record<string, Buffer>> {
    const { values, firstMoments, secondMoments } = this.arena;
    return { values, firstMoments, secondMoments, report: this.#report, ...this.allocator?.state };
  }

  /** Sets the counters of a resumed run, whose buffers have already been uploaded. */
  resumeAt(step: number, passes: number): void {
    this.#step = step;
    this.#passes = passes;
  }

  /** Forward passes made; dropout masks are drawn from the count. */
  get passes(): number {
    return this.#passes;
  }

  #accumulate(microBatches: readonly Batch[]): void {
    const rowsOf = ({ weight, offsets }: Batch) => weight ?? offsets.length - 1;
    const total = microBatches.reduce((sum, batch) => sum + rowsOf(batch), 0);
    for (const batch of microBatches) {
      const share = rowsOf(batch) / total;
      const seed = seedKey(this.#options.seed);
      const { checkpointing = false } = this.#options;
      const index = this.#passes++;
      const pass = new ForwardPass(this.#backend, { training: true, seed, index, checkpointing });
      pass.scope(() => {
        const loss = this.#lossOf(pass, batch);
        pass.tape.backward(loss, share);
        this.#backend.scale(loss.buffer, share, loss.buffer);
        this.#backend.add(this.#scalar(TASK), loss.buffer);
      });
    }
  }

  #reportOf(
    step: number,
    { lr, lrE }: { readonly lr: number; readonly lrE: number | undefined },
    decision: Allocation | undefined,
  ): StepReport {
    const report = this.#backend.download(this.#report);
    const threshold = decision?.masked ? report[THRESHOLD] : undefined;
    return {
      step,
      taskLoss: report[TASK]!,
      orthogonalityLoss: report[ORTHOGONALITY]!,
      gradNorm: report[NORM]!,
      learningRate: lr,
      learningRateOfE: lrE,
      budget: decision?.budget,
      threshold: threshold === undefined || Number.isNaN(threshold) ? undefined : threshold,
      masked: decision?.masked ?? false,
    };
  }

  #scalar(offset: number): Buffer {
    return this.#backend.view(this.#report, offset, 1);
  }
}
