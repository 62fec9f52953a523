import { Tape } from "./autograd.ts";
import type { Backend, Buffer } from "./backend.ts";
import { invariant } from "./errors.ts";
import type { Dropout } from "./kernels/elementwise.ts";
import type { Tensor } from "./tensor.ts";

/** How a forward pass runs. */
export interface ForwardPassOptions {
  /** Turns dropout on and records a tape. */
  readonly training: boolean;
  readonly seed?: readonly [low: number, high: number];
  /** Number of this forward pass within the run: each pass draws its own dropout masks. */
  readonly index?: number;
  /** Layers keep only their inputs, and are rerun in backward (activation checkpointing). */
  readonly checkpointing?: boolean;
  /** Receives the rows that each linear layer reads, by its path, while they live. */
  readonly onInput?: (path: string, x: Tensor) => void;
  /** Receives intermediate results by name while they live (tests compare hidden states). */
  readonly observe?: (name: string, tensor: Tensor) => void;
}

/** The context of one forward pass and its backward: every op and module receives it. */
export class ForwardPass {
  readonly backend: Backend;
  readonly tape: Tape;
  readonly training: boolean;
  readonly onInput: ((path: string, x: Tensor) => void) | undefined;
  readonly observe: (name: string, tensor: Tensor) => void;
  /** Whether anything is observed: intermediate results are then computed in full. */
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

  /** A buffer of activations that lives as long as the current scope. */
  allocate(length: number): Buffer {
    return this.tape.allocate(this.backend.activation, length);
  }

  /** The same in the dtype of sums, statistics and trained parameters. */
  allocateMaster(length: number): Buffer {
    return this.tape.allocate(this.backend.master, length);
  }

  /** Uploads integers to a buffer that lives as long as the current scope. */
  integers(values: ArrayLike<number>): Buffer {
    const buffer = this.tape.allocate("i32", values.length);
    this.backend.upload(buffer, values);
    return buffer;
  }

  /** See `Tape.scope`. */
  scope<T extends Tensor | void>(body: () => T): T {
    return this.tape.scope(body);
  }

  /**
   * A scope around a part of the model, usually a layer. With checkpointing, backward reruns it:
   * the same results in less memory and more time. `reads` lists every outside buffer of the pass
   * that `body` reads; no op in `body` may overwrite one.
   */
  checkpoint(reads: readonly (Buffer | undefined)[], body: () => Tensor): Tensor {
    if (!this.#checkpointing) return this.scope(body);
    const first = this.#site;
    const rerun = () => {
      const next = this.#site;
      this.#site = first; // draws the same masks again
      try {
        return body();
      } finally {
        this.#site = next;
      }
    };
    const held = reads.filter((buffer) => buffer !== undefined);
    return this.tape.checkpoint(held, body, rerun);
  }

  /** The mask of the model's next dropout site; undefined if nothing is dropped. */
  nextDropout(probability: number): Dropout | undefined {
    // A plugin's types are not checked when it is loaded, and a mask without one gives NaN.
    invariant(
      probability >= 0 && probability < 1,
      () => `a dropout probability must be from 0 to below 1, got ${probability}`,
    );
    const site = this.#site++;
    if (!this.training || probability <= 0) return undefined;
    return { probability, seed: this.#seed, step: this.#index, site };
  }
}
