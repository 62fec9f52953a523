import type { Allocator, AllocatorRule, AllocatorSettings } from "../adalora/allocator.ts";
import { addOrthogonality, orthogonalFactors } from "../adalora/orthogonality.ts";
import { isAllFinite } from "../all-finite.ts";
import type { Backend, Buffer } from "../backend.ts";
import { invariant } from "../errors.ts";
import { ForwardPass } from "../forward-pass.ts";
import type { Importance, OrthogonalFactor } from "../kernels/training.ts";
import { type Adapter, adapterParameters } from "../nn/adapter.ts";
import { type AdamWOptions, adamwStep } from "../optim/adamw.ts";
import { ParameterArena } from "../optim/parameter-arena.ts";
import { seedKey } from "../rng.ts";
import type { LabelledBatch, BatchLoss, WeightedBatch } from "../tasks/batch.ts";
import type { Parameter } from "../tensor.ts";
import { type MaskSources, type StepReport, StepReportBuffer } from "./step-report.ts";

/** The rank allocation rule and its settings; the seed is the trainer's. */
export interface AllocatorOptions extends Omit<AllocatorSettings, "seed"> {
  readonly rule: AllocatorRule;
}

/** Options of the trainer. */
export interface TrainerOptions {
  readonly optimizer: AdamWOptions;
  /** Learning rate of a step, numbered from 0. */
  readonly learningRate: (step: number) => number;
  /** Learning rate of the adapters' E's; undefined: that of all other parameters. */
  readonly learningRateOfE?: ((step: number) => number) | undefined;
  /** 0 disables clipping. */
  readonly maxGradNorm: number;
  /** Coefficient of the orthogonality loss; 0 disables it. */
  readonly orthogonality: number;
  /** Matrices without triplets that the mean of this loss counts too; default 0. */
  readonly emptyMatrices?: number;
  readonly seed: number;
  /** Recomputes layers in the backward pass to save memory; results are bit-identical. */
  readonly checkpointing?: boolean;
  readonly allocator: AllocatorOptions | undefined;
}

/** A step that is queued on the device. */
export interface QueuedStep {
  /** Waits for the step and returns its report. */
  readonly report: () => StepReport;
}

/**
 * Training state and the optimizer step: zero the gradients -> forward and backward of each
 * micro-batch -> orthogonality -> clip -> AdamW -> allocator. All values stay on the device; a step
 * downloads its report once, its mask's included.
 */
export class Trainer<Batch extends WeightedBatch = LabelledBatch> {
  readonly arena: ParameterArena;
  readonly adapters: readonly Adapter[];
  readonly allocator: Allocator | undefined;
  readonly #backend: Backend;
  readonly #options: TrainerOptions;
  readonly #lossOf: BatchLoss<Batch>;
  readonly #report: StepReportBuffer;
  readonly #sumOfSquares: Buffer;
  /** The factors that the orthogonality loss reads. */
  readonly #factors: readonly OrthogonalFactor[];
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
    this.#factors = orthogonalFactors(model.adapters);
    this.#report = new StepReportBuffer(
      backend,
      model.adapters.map(({ rank }) => rank),
    );
    this.#sumOfSquares = backend.alloc(backend.master, 1);
    this.allocator = options.allocator?.rule.create({
      backend,
      arena: this.arena,
      adapters: model.adapters,
      report: this.#report,
      settings: { ...options.allocator, seed: options.seed },
    });
    checkState(this.allocator, this.#ownState, backend);
  }

  /** Optimizer steps taken. */
  get steps(): number {
    return this.#step;
  }

  /**
   * Whether the device still computes a step when `startStep` returns; its report is then best read
   * after the next step is queued.
   */
  get isAsynchronous(): boolean {
    return this.#backend.startDownload !== undefined;
  }

  /** Takes one optimizer step and waits for its report; see `startStep`. */
  step(microBatches: readonly Batch[]): StepReport {
    return this.startStep(microBatches).report();
  }

  /**
   * Queues one optimizer step. Gradients are averaged over the rows of all micro-batches, so the
   * step equals one on a single batch of the same rows.
   */
  startStep(microBatches: readonly Batch[]): QueuedStep {
    const { optimizer, maxGradNorm, orthogonality, emptyMatrices = 0 } = this.#options;
    const backend = this.#backend;
    const step = this.#step;
    const lr = this.#options.learningRate(step);
    const lrE = this.#options.learningRateOfE?.(step);
    this.#report.zero();
    this.arena.zeroGradients();
    this.#accumulate(microBatches);
    if (orthogonality > 0) {
      const matrices = this.adapters.length + emptyMatrices;
      const value = this.#report.orthogonalityLoss;
      addOrthogonality(backend, this.#factors, orthogonality, value, matrices);
    }
    backend.sumOfSquares(this.arena.gradients, this.#sumOfSquares);
    const { gradNorm } = this.#report;
    backend.clipByNorm(this.arena.gradients, this.#sumOfSquares, maxGradNorm, gradNorm);
    const importance = this.allocator?.importanceAt(step);
    adamwStep(backend, this.arena, optimizer, { lr, lrE, t: step + 1 }, importance);
    const decision = this.allocator?.afterStep(step);
    this.#step++;
    const wait = this.#report.start(decision?.masked ? this.#maskSources(importance) : undefined);
    const known = { step, learningRate: lr, learningRateOfE: lrE, budget: decision?.budget };
    return { report: () => ({ ...known, ...wait() }) };
  }

  /** Applies the last mask again after training: Adam may have revived pruned triplets. */
  finish(): void {
    this.allocator?.applyMask();
  }

  /** Whether all trained values are finite. Downloads them: for checkpoints and failures. */
  isFinite(): boolean {
    return isAllFinite(this.#backend.download(this.arena.values));
  }

  /** The triplets of each adapter that the last mask kept. */
  kept(): readonly (readonly boolean[])[] {
    return this.#report.keptNow();
  }

  /** Every buffer needed to resume exactly, by name. */
  get state(): Readonly<Record<string, Buffer>> {
    return { ...this.#ownState, ...this.allocator?.state };
  }

  get #ownState(): Readonly<Record<string, Buffer>> {
    const { values, firstMoments, secondMoments } = this.arena;
    return { values, firstMoments, secondMoments, report: this.#report.buffer };
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
        this.#backend.add(this.#report.taskLoss, loss.buffer);
      });
    }
  }

  /** The buffers that the report of this step's mask copies. */
  #maskSources(importance: Importance | undefined): MaskSources {
    const ranks = this.adapters.reduce((sum, { rank }) => sum + rank, 0);
    const hasE = this.adapters.every(({ e }) => e !== undefined);
    return {
      diagonals: hasE ? this.#backend.view(this.arena.values, 0, ranks) : undefined,
      importance: importance && this.allocator?.scores,
    };
  }
}

// --- internal ---

/** A checkpoint has one tensor of each name, in the master dtype: others could not be resumed. */
function checkState(
  allocator: Allocator | undefined,
  own: Readonly<Record<string, Buffer>>,
  { master }: Backend,
): void {
  for (const [name, { dtype }] of Object.entries(allocator?.state ?? {})) {
    invariant(
      !Object.hasOwn(own, name),
      () =>
        `the allocator's state "${name}" has the name of the trainer's own: ${Object.keys(own).join(", ")}`,
    );
    invariant(
      dtype === master,
      () =>
        `the allocator's state "${name}" must be ${master}, the backend's master dtype, got ${dtype}`,
    );
  }
}
