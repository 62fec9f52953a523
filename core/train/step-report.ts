import type { Backend, Buffer } from "../backend.ts";
import { startDownload } from "../backend/start-download.ts";

/** A mask and the values that it was decided by. */
export interface MaskReport {
  /** The triplets of each adapter that it kept. */
  readonly kept: readonly (readonly boolean[])[];
  /** Each triplet's |E|, [sum of ranks]; undefined for methods without E. */
  readonly magnitudes: Float64Array | undefined;
  /**
   * Each triplet's importance, [sum of ranks]; undefined where the step updated none: with an
   * allocator that has no scores, and in the final phase.
   */
  readonly importance: Float64Array | undefined;
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
  /** Undefined if the step applied no mask. */
  readonly mask: MaskReport | undefined;
}

/** The part of a report that the device computes. */
export type DeviceReport = Pick<
  StepReport,
  "taskLoss" | "orthogonalityLoss" | "gradNorm" | "threshold" | "mask"
>;

/** Offsets in the buffer; KEPT starts one element per triplet. */
const [TASK, ORTHOGONALITY, NORM, THRESHOLD, KEPT] = [0, 1, 2, 3, 4];

/** Buffers that a mask's report copies, each [sum of ranks]; undefined where there is none. */
export interface MaskSources {
  readonly diagonals: Buffer | undefined;
  readonly importance: Buffer | undefined;
}

/**
 * The device's side of the reports: kernels write to it, and each step reads it in one download,
 * its mask included.
 */
export class StepReportBuffer {
  /** Scalars and the last mask; part of a checkpoint. */
  readonly buffer: Buffer;
  readonly taskLoss: Buffer;
  readonly orthogonalityLoss: Buffer;
  readonly gradNorm: Buffer;
  readonly threshold: Buffer;
  /** [sum of ranks]: 1 for triplets that the last mask kept. */
  readonly kept: Buffer;
  readonly #backend: Backend;
  readonly #ranks: readonly number[];
  readonly #total: number;
  /** A copy of the buffer, followed by E and importance, for steps with a mask. */
  readonly #withMask: Buffer;

  /** `ranks`: the rank of each adapter. */
  constructor(backend: Backend, ranks: readonly number[]) {
    this.#backend = backend;
    this.#ranks = ranks;
    this.#total = ranks.reduce((sum, rank) => sum + rank, 0);
    this.buffer = backend.alloc(backend.master, KEPT + this.#total);
    this.#withMask = backend.alloc(backend.master, KEPT + 3 * this.#total);
    backend.upload(this.buffer, new Float64Array(KEPT + this.#total).fill(1));
    const scalar = (offset: number) => backend.view(this.buffer, offset, 1);
    this.taskLoss = scalar(TASK);
    this.orthogonalityLoss = scalar(ORTHOGONALITY);
    this.gradNorm = scalar(NORM);
    this.threshold = scalar(THRESHOLD);
    this.kept = backend.view(this.buffer, KEPT, this.#total);
  }

  /** Zeroes the scalars that a step adds to. */
  zero(): void {
    this.#backend.zero(this.#backend.view(this.buffer, 0, THRESHOLD));
  }

  /**
   * Starts to copy the report of the step just queued; the function that it returns waits for it.
   * `sources`: undefined if the step has no mask.
   */
  start(sources: MaskSources | undefined): () => DeviceReport {
    const from = sources ? this.#addMask(sources) : this.buffer;
    const values = startDownload(this.#backend, from);
    return () => this.#read(values(), sources);
  }

  /** The triplets of each adapter that the last mask kept. Downloads them. */
  keptNow(): readonly (readonly boolean[])[] {
    return this.#keptIn(this.#backend.download(this.buffer));
  }

  #addMask({ diagonals, importance }: MaskSources): Buffer {
    const part = (offset: number, length: number) =>
      this.#backend.view(this.#withMask, offset, length);
    const first = KEPT + this.#total;
    this.#backend.copy(part(0, first), this.buffer);
    if (diagonals) this.#backend.copy(part(first, this.#total), diagonals);
    if (importance) this.#backend.copy(part(first + this.#total, this.#total), importance);
    return this.#withMask;
  }

  #read(values: ArrayLike<number>, sources: MaskSources | undefined): DeviceReport {
    const threshold = sources ? values[THRESHOLD]! : Number.NaN;
    return {
      taskLoss: values[TASK]!,
      orthogonalityLoss: values[ORTHOGONALITY]!,
      gradNorm: values[NORM]!,
      threshold: Number.isNaN(threshold) ? undefined : threshold,
      mask: sources && this.#maskIn(values, sources),
    };
  }

  #maskIn(values: ArrayLike<number>, { diagonals, importance }: MaskSources): MaskReport {
    const first = KEPT + this.#total;
    const part = (offset: number) => {
      const copied = new Float64Array(this.#total);
      for (let i = 0; i < copied.length; i++) copied[i] = values[offset + i]!;
      return copied;
    };
    return {
      kept: this.#keptIn(values),
      magnitudes: diagonals && part(first).map(Math.abs),
      importance: importance && part(first + this.#total),
    };
  }

  #keptIn(values: ArrayLike<number>): readonly (readonly boolean[])[] {
    let offset = KEPT;
    return this.#ranks.map((rank) => {
      const kept: boolean[] = [];
      for (let i = 0; i < rank; i++) kept.push((values[offset++] ?? 0) > 0);
      return kept;
    });
  }
}
