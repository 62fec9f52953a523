import { addOrthogonality, orthogonalFactors } from "../../core/adalora/orthogonality.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import type { BatchLoss } from "../../core/tasks/batch.ts";
import type { Adapter } from "../../core/nn/adapter.ts";
import type { Backend } from "../../core/backend.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { StepReport } from "../../core/train/step-report.ts";
import type { Trainer } from "../../core/train/trainer.ts";
import type { CaseModel } from "./golden-case.ts";
import type { TrainingSettings } from "./training-case.ts";

/** A module's ranknum, with its Adam moments and E as it was before the step. */
interface Shadow {
  readonly adapter: Adapter;
  ranknum: number;
  m: number;
  v: number;
  before: ArrayLike<number>;
}

/** How PEFT trained a case. */
interface PeftTraining<Batch extends TokenBatch> {
  readonly lossOf: BatchLoss<Batch>;
  /** Whether `ranknum` was among the trained parameters. */
  readonly isTrained: boolean;
}

/**
 * `ranknum`, the divisor of PEFT's scale, is declared without a gradient, but becomes a parameter
 * with one where the model is moved to another dtype than float32, as in the goldens, which train
 * in float64. It is then trained, counts in the norm that gradients are clipped by, and is not
 * saved. We do not train it; so that PEFT's steps can be compared to the digit, this does what its
 * optimizer does to it.
 */
export class PeftRanknum<Batch extends TokenBatch> {
  readonly #backend: Backend;
  readonly #subject: CaseModel;
  readonly #trainer: Trainer<Batch>;
  readonly #settings: TrainingSettings;
  readonly #lossOf: BatchLoss<Batch>;
  readonly #shadows: readonly Shadow[];
  /** Of all gradients, ranknum's among them, and ours alone; before clipping. */
  #norms: { readonly all: number; readonly ours: number } | undefined;

  constructor(
    backend: Backend,
    subject: CaseModel,
    trainer: Trainer<Batch>,
    settings: TrainingSettings,
    { lossOf, isTrained }: PeftTraining<Batch>,
  ) {
    this.#backend = backend;
    this.#subject = subject;
    this.#trainer = trainer;
    this.#settings = settings;
    this.#lossOf = lossOf;
    this.#shadows = (isTrained ? trainer.adapters : [])
      .filter(({ e }) => e !== undefined)
      .map((adapter) => ({ adapter, ranknum: settings.r, m: 0, v: 0, before: [] }));
  }

  /** The norm at which our gradients are clipped by the factor that PEFT's are; 0: not at all. */
  get maxGradNorm(): number {
    const { max_grad_norm: max } = this.#settings;
    if (!max || !this.#norms) return max ?? 0;
    const factor = max / (this.#norms.all + 1e-6);
    return factor < 1 ? factor * (this.#norms.ours + 1e-6) : 0;
  }

  /** To be called before each step, with its batch. */
  prepare(batch: Batch): void {
    for (const shadow of this.#shadows) {
      const { e } = shadow.adapter;
      if (e) shadow.before = this.#backend.download(e.buffer);
    }
    if (this.#settings.max_grad_norm && this.#shadows.length > 0)
      this.#norms = this.#measure(batch);
  }

  /**
   * To be called after each step: moves every ranknum, and returns the norm of all gradients before
   * clipping.
   */
  follow({ step, learningRate, gradNorm }: StepReport): number {
    const { alpha, adam_betas: betas, adam_eps: eps, weight_decay: decay } = this.#settings;
    let squares = gradNorm ** 2;
    for (const shadow of this.#shadows) {
      const gradient = this.#gradient(shadow);
      squares += gradient ** 2;
      shadow.m = betas[0] * shadow.m + (1 - betas[0]) * gradient;
      shadow.v = betas[1] * shadow.v + (1 - betas[1]) * gradient ** 2;
      const m = shadow.m / (1 - betas[0] ** (step + 1));
      const v = shadow.v / (1 - betas[1] ** (step + 1));
      shadow.ranknum *= 1 - learningRate * decay;
      shadow.ranknum -= (learningRate * m) / (Math.sqrt(v) + eps);
      const linear = this.#subject.tree.linears.get(shadow.adapter.path);
      const scale = alpha / (shadow.ranknum + 1e-5);
      if (linear) linear.adapter = { ...shadow.adapter, scale };
    }
    return this.#norms?.all ?? Math.sqrt(squares);
  }

  /** By module path. */
  get values(): ReadonlyMap<string, number> {
    return new Map(this.#shadows.map(({ adapter, ranknum }) => [adapter.path, ranknum]));
  }

  /** The step's gradients once more, ahead of it. */
  #measure(batch: Batch): { readonly all: number; readonly ours: number } {
    const backend = this.#backend;
    const { arena, adapters } = this.#trainer;
    arena.zeroGradients();
    const pass = new ForwardPass(backend, { training: true });
    pass.scope(() => {
      pass.tape.backward(this.#lossOf(pass, batch), 1);
      const value = pass.allocateMaster(1);
      backend.zero(value);
      addOrthogonality(backend, orthogonalFactors(adapters), this.#settings.orth_coef, value);
    });
    const gradients = Array.from(backend.download(arena.gradients));
    const ours = Math.hypot(...gradients);
    const own = this.#shadows.map((shadow) => this.#gradient(shadow));
    return { ours, all: Math.hypot(ours, ...own) };
  }

  /**
   * The increment is alpha / (ranknum + 1e-5) times what is linear in E, so that E's gradient tells
   * ranknum's, clipped or not.
   */
  #gradient({ adapter, ranknum, before }: Shadow): number {
    if (!adapter.e) return 0;
    const { arena } = this.#trainer;
    const de = this.#backend.download(arena.partOf(arena.gradients, adapter.e));
    const dot = Array.from(before).reduce((sum, e, i) => sum + e * (de[i] ?? Number.NaN), 0);
    return -dot / (ranknum + 1e-5);
  }
}
