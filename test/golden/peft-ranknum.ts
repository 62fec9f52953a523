import type { Adapter } from "../../core/nn/adapter.ts";
import type { Backend } from "../../core/backend.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { StepReport, Trainer } from "../../core/train/trainer.ts";
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

/**
 * PEFT trains `ranknum`, the divisor of its scale, along with the adapter, and then does not save it. We do not train it; so that
 * PEFT's steps can be compared to the digit, this does what its optimizer does to it, for cases without clipping.
 */
export class PeftRanknum<Batch extends TokenBatch> {
  readonly #backend: Backend;
  readonly #subject: CaseModel;
  readonly #trainer: Trainer<Batch>;
  readonly #settings: TrainingSettings;
  readonly #shadows: readonly Shadow[];

  constructor(
    backend: Backend,
    subject: CaseModel,
    trainer: Trainer<Batch>,
    settings: TrainingSettings,
  ) {
    this.#backend = backend;
    this.#subject = subject;
    this.#trainer = trainer;
    this.#settings = settings;
    this.#shadows = trainer.adapters
      .filter(({ e }) => e !== undefined)
      .map((adapter) => ({ adapter, ranknum: settings.r, m: 0, v: 0, before: [] }));
  }

  /** To be called before each step. */
  remember(): void {
    for (const shadow of this.#shadows) {
      const { e } = shadow.adapter;
      if (e) shadow.before = this.#backend.download(e.buffer);
    }
  }

  /** To be called after each step: moves every ranknum, and returns the norm of all gradients, ranknum's among them. */
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
    return Math.sqrt(squares);
  }

  /** By module path. */
  get values(): ReadonlyMap<string, number> {
    return new Map(this.#shadows.map(({ adapter, ranknum }) => [adapter.path, ranknum]));
  }

  /** The increment is alpha / (ranknum + 1e-5) times what is linear in E, so that E's gradient tells ranknum's. */
  #gradient({ adapter, ranknum, before }: Shadow): number {
    if (!adapter.e) return 0;
    const { arena } = this.#trainer;
    const de = this.#backend.download(arena.partOf(arena.gradients, adapter.e));
    const dot = Array.from(before).reduce((sum, e, i) => sum + e * (de[i] ?? Number.NaN), 0);
    return -dot / (ranknum + 1e-5);
  }
}
