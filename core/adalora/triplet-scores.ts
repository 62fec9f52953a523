import type { Backend, Buffer } from "../backend.ts";
import { invariant } from "../errors.ts";
import { type Adapter, adapterParameters } from "../nn/adapter.ts";
import type { Parameter } from "../tensor.ts";
import type { AllocatorContext } from "./allocator.ts";
import type { Averages, Importance, Triplets } from "../kernels/training.ts";

/**
 * Importance of every triplet (paper eq. 8-11): the sensitivity |parameter * gradient| of each
 * adapter element and its uncertainty are smoothed over steps, then combined into one score per
 * triplet.
 *
 * Follows the authors' code: parameters after the optimizer step, gradients after clipping.
 */
export class TripletScores {
  /** [sum of ranks] */
  readonly scores: Buffer;
  /** The smoothed averages, saved in checkpoints. */
  readonly state: Readonly<Record<string, Buffer>>;
  readonly #context: AllocatorContext;
  readonly #importance: Importance;
  readonly #triplets: readonly Triplets[];

  /** Requires the adapters' factors at the start of the arena, E's first. */
  constructor(context: AllocatorContext) {
    const { backend, adapters, settings } = context;
    const hasDoublets = adapters.some(({ e }) => e === undefined);
    invariant(settings.importance !== "magnitude" || !hasDoublets, "magnitude scores need E");
    this.#context = context;
    const length = adapters.flatMap(adapterParameters).reduce((sum, p) => sum + p.length, 0);
    this.scores = backend.alloc(backend.master, tripletCount(adapters));
    const sensitivity = backend.alloc(backend.master, length);
    const uncertainty = backend.alloc(backend.master, length);
    backend.zero(sensitivity);
    backend.zero(uncertainty);
    this.#importance = { sensitivity, uncertainty, beta1: settings.beta1, beta2: settings.beta2 };
    this.state = { sensitivity, uncertainty };
    const scoresOf = viewsByRank(backend, this.scores, adapters);
    this.#triplets = adapters.map((adapter, i) => this.#tripletsOf(adapter, scoresOf[i]!));
  }

  /** The averages to update at this step; undefined in the final phase, which freezes them. */
  importanceAt(step: number): Importance | undefined {
    const { schedule, importance } = this.#context.settings;
    const isFinal = step >= schedule.steps - schedule.finalTuning;
    return isFinal || importance === "magnitude" ? undefined : this.#importance;
  }

  /** Computes `scores` from the averages, or from |E|. */
  update(): void {
    const { backend, arena, settings } = this.#context;
    if (settings.importance === "magnitude")
      backend.absolute(backend.view(arena.values, 0, this.scores.length), this.scores);
    else backend.tripletScores(this.#triplets, settings.importance === "ipt");
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
    const { arena } = this.#context;
    return {
      sensitivity: arena.partOf(this.#importance.sensitivity, parameter),
      uncertainty: arena.partOf(this.#importance.uncertainty, parameter),
    };
  }
}

/** The sum of the adapters' ranks. */
export function tripletCount(adapters: readonly Adapter[]): number {
  return adapters.reduce((sum, { rank }) => sum + rank, 0);
}

/** Each adapter's slice of a buffer with one element per triplet. */
export function viewsByRank(
  backend: Backend,
  buffer: Buffer,
  adapters: readonly Adapter[],
): Buffer[] {
  let end = 0;
  return adapters.map(({ rank }) => {
    end += rank;
    return backend.view(buffer, end - rank, rank);
  });
}
