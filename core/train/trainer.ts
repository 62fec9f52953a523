import type { Allocation, Allocator, AllocatorRule, AllocatorSettings } from "../adalora/allocator.ts";
import { addOrthogonality } from "../adalora/orthogonality.ts";
import type { Backend, Buffer } from "../backend.ts";
import { ForwardPass } from "../forward-pass.ts";
import { type Adapter, adapterParameters } from "../nn/adapter.ts";
import { type AdamWOptions, adamwStep } from "../optim/adamw.ts";
import { ParameterArena } from "../optim/parameter-arena.ts";
import { seedKey } from "../rng.ts";
import type { LabelledBatch, BatchLoss, WeightedBatch } from "../tasks/batch.ts";
import type { Parameter } from "../tensor.ts";

/** The rule that allocates ranks, and its settings but the seed, which is the trainer's. */
export interface AllocatorOptions extends Omit<AllocatorSettings, "seed"> {
  readonly rule: AllocatorRule;
}

export interface TrainerOptions {
  readonly optimizer: AdamWOptions;
  /** Learning rate of step i, from 0. */
  readonly learningRate: (step: number) => number;
  /** 0 turns clipping off. */
  readonly maxGradNorm: number;
  readonly orthogonality: number;
  readonly seed: number;
  /** Layers are run once more in backward, to save memory; no number changes. */
  readonly checkpointing?: boolean;
  readonly allocator: AllocatorOptions | undefined;
}

/** What one optimizer step did. */
export interface StepReport {
  readonly step: number;
  readonly taskLoss: number;
  /** R of the adapters, before its coefficient; 0 where it is not part of the loss. */
  readonly orthogonalityLoss: number;
  /** Before clipping. */
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly budget: number | undefined;
  /** Undefined where nothing was masked or pruned. */
  readonly threshold: number | undefined;
  readonly masked: boolean;
}

const [TASK, ORTHOGONALITY, NORM, THRESHOLD, KEPT] = [0, 1, 2, 3, 4];

/**
 * The state of training and its one step:
 * forward and backward of each micro-batch -> orthogonality -> clip -> AdamW -> allocator -> zero the gradients.
 * All numbers stay on the device; a step downloads its report once.
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
   * One optimizer step over micro-batches whose gradients are averaged over all their rows, so that it equals one step on
   * the batch that they make up.
   */
  step(microBatches: readonly Batch[]): StepReport {
    const { optimizer, maxGradNorm, orthogonality } = this.#options;
    const backend = this.#backend;
    const step = this.#step;
    const learningRate = this.#options.learningRate(step);
    const scalars = backend.view(this.#report, 0, THRESHOLD);
    backend.zero(scalars);
    this.arena.zeroGradients();
    this.#accumulate(microBatches);
    if (orthogonality > 0) {
      addOrthogonality(backend, this.adapters, orthogonality, this.#scalar(ORTHOGONALITY));
    }
    backend.sumOfSquares(this.arena.gradients, this.#sumOfSquares);
    backend.clipByNorm(this.arena.gradients, this.#sumOfSquares, maxGradNorm, this.#scalar(NORM));
    const importance = this.allocator?.importanceAt(step);
    adamwStep(backend, this.arena, optimizer, { lr: learningRate, t: step + 1 }, importance);
    const decision = this.allocator?.afterStep(step);
    this.#step++;
    return this.#reportOf(step, learningRate, decision);
  }

  /** Masks once more after the last step: Adam may have revived what the last mask had zeroed. */
  finish(): void {
    this.allocator?.applyMask();
  }

  /** For each adapter, which of its triplets the last mask kept. */
  kept(): readonly (readonly boolean[])[] {
    const kept = this.#backend.download(this.#report).subarray(KEPT);
    let offset = 0;
    return this.adapters.map(({ rank }) =>
      Array.from(kept.subarray(offset, (offset += rank)), (k) => k > 0),
    );
  }

  /** Every buffer that an exact resume needs, by name. */
  get state(): Readonly<Record<string, Buffer>> {
    const { values, firstMoments, secondMoments } = this.arena;
    return { values, firstMoments, secondMoments, report: this.#report, ...this.allocator?.state };
  }

  /** Continues from a state whose buffers have been uploaded. */
  resumeAt(step: number, passes: number): void {
    this.#step = step;
    this.#passes = passes;
  }

  /** Forward passes made, which dropout masks are drawn from. */
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

  #reportOf(step: number, learningRate: number, decision: Allocation | undefined): StepReport {
    const report = this.#backend.download(this.#report);
    const threshold = decision?.masked ? report[THRESHOLD] : undefined;
    return {
      step,
      taskLoss: report[TASK]!,
      orthogonalityLoss: report[ORTHOGONALITY]!,
      gradNorm: report[NORM]!,
      learningRate,
      budget: decision?.budget,
      threshold: threshold === undefined || Number.isNaN(threshold) ? undefined : threshold,
      masked: decision?.masked ?? false,
    };
  }

  #scalar(offset: number): Buffer {
    return this.#backend.view(this.#report, offset, 1);
  }
}
