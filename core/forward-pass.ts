import { Tape } from "./autograd.ts";
import type { Backend, Buffer } from "./backend.ts";
import type { Dropout } from "./kernels/elementwise.ts";
import type { Tensor } from "./tensor.ts";

export interface ForwardPassOptions {
  /** Dropout is on and a tape is kept. */
  readonly training: boolean;
  readonly seed?: readonly [low: number, high: number];
  /** Counts forward passes of the whole run: each draws its own dropout masks. */
  readonly index?: number;
  /** Parts of the model that say so keep what they read alone, and run once more in backward. */
  readonly checkpointing?: boolean;
  /** Sees the rows that each linear layer reads, by its path, while they live. */
  readonly onInput?: (path: string, x: Tensor) => void;
  /** Sees intermediate results by name while they live (tests compare hidden states). */
  readonly observe?: (name: string, tensor: Tensor) => void;
}

/** One forward pass, and its backward: what every op and module is handed. */
export class ForwardPass {
  readonly backend: Backend;
  readonly tape: Tape;
  readonly training: boolean;
  readonly onInput: ((path: string, x: Tensor) => void) | undefined;
  readonly observe: (name: string, tensor: Tensor) => void;
  /** Whether intermediate results are observed: then they are computed whole. */
  readonly observed: boolean;
  readonly #seed: readonly [low: number, high: number];
  readonly #index: number;
  readonly #checkpointing: boolean;
  #site = 0;

  constructor(backend: Backend, options: ForwardPassOptions) {
    this.backend = backend;
    this.training = options.training;
    this.tape = new Tape(backend, { recording: options.training });
    this.observe = options.observe ?? (() => {});
    this.onInput = options.onInput;
    this.observed = options.observe !== undefined || options.onInput !== undefined;
    this.#seed = options.seed ?? [0, 0];
    this.#index = options.index ?? 0;
    this.#checkpointing = options.checkpointing ?? false;
  }

  allocate(length: number): Buffer {
    return this.tape.allocate(this.backend.activation, length);
  }

  /** A buffer in the type of sums, statistics and trained parameters. */
  allocateMaster(length: number): Buffer {
    return this.tape.allocate(this.backend.master, length);
  }

  /** Whole numbers for the device, alive as long as the scope. */
  integers(values: ArrayLike<number>): Buffer {
    const buffer = this.tape.allocate("i32", values.length);
    this.backend.upload(buffer, values);
    return buffer;
  }

  scope<T extends Tensor | void>(body: () => T): T {
    return this.tape.scope(body);
  }

  /**
   * A scope around a part of the model, a layer as a rule, that is run once more in backward where the run checkpoints: the same
   * numbers for less memory and more time. `reads`: every buffer of the run from outside of `body` that it reads; it must not
   * let an op take one over.
   */
  checkpoint(reads: readonly (Buffer | undefined)[], body: () => Tensor): Tensor {
    if (!this.#checkpointing) return this.scope(body);
    const first = this.#site;
    const rerun = () => {
      const next = this.#site;
      this.#site = first; // the masks of the first time
      try {
        return body();
      } finally {
        this.#site = next;
      }
    };
    const held = reads.filter((buffer) => buffer !== undefined);
    return this.tape.checkpoint(held, body, rerun);
  }

  /** The mask of the next place in the model that drops out; undefined where nothing is dropped. */
  nextDropout(probability: number): Dropout | undefined {
    const site = this.#site++;
    if (!this.training || probability <= 0) return undefined;
    return { probability, seed: this.#seed, step: this.#index, site };
  }
}
