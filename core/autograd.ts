import type { Backend, Buffer } from "./backend.ts";
import { invariant } from "./errors.ts";
import { References } from "./references.ts";
import { Parameter, type Tensor } from "./tensor.ts";

/**
 * Receives the gradient of one input of an op. An op's backward calls exactly one of the three
 * methods, once, and only where `needed`.
 */
export interface Sink {
  readonly needed: boolean;
  /** Hands over a gradient in a buffer of the op's own, or in the output gradient's. */
  give(gradient: Buffer): void;
  /** A buffer to write to: with `beta` 1 add to the gradient that it holds, with 0 set it. */
  accumulate(): { readonly buffer: Buffer; readonly beta: 0 | 1 };
  /** A buffer to add to; it holds an earlier gradient or zeros. */
  accumulateZeroed(): Buffer;
}

/** One op's call, as recorded for backward. */
export interface Node {
  readonly op: string;
  readonly inputs: readonly (Tensor | undefined)[];
  /** Those that need a gradient. */
  readonly outs: readonly Tensor[];
  /** Buffers that backward reads, if given; the tape frees none of them before it has run. */
  readonly keep: readonly (Buffer | undefined)[];
  /**
   * Receives a gradient per output, at least one of them defined, and a sink per input. The
   * gradient of an output that the loss doesn't depend on is undefined.
   */
  readonly backward: (douts: readonly (Buffer | undefined)[], sinks: readonly Sink[]) => void;
}

/**
 * Replaces the nodes of a part of the model, which are dropped after its forward pass: backward
 * reruns the part to record them again (activation checkpointing, Chen et al. 2016).
 */
interface Checkpoint {
  readonly outs: readonly [Tensor];
  /** Buffers that the part reads. */
  readonly keep: readonly Buffer[];
  readonly rerun: () => Tensor;
}

/**
 * Owns the buffers of a forward and backward pass. A buffer lives while a scope or a node of the
 * tape references it: a scope ends with the layer that opened it, a node with its backward, so
 * memory falls as backward proceeds.
 */
export class Tape {
  readonly #backend: Backend;
  readonly #references: References;
  /** Buffers of the current scope. */
  #scope: Buffer[] | undefined;
  #nodes: (Node | Checkpoint)[] = [];
  /** False for evaluation: the tape records no nodes and no buffer outlives its scope. */
  readonly recording: boolean;

  constructor(backend: Backend, { recording }: { recording: boolean }) {
    this.#backend = backend;
    this.#references = new References(backend);
    this.recording = recording;
  }

  /** A buffer that lives until the current scope ends, or longer if a node references it. */
  allocate(dtype: Buffer["dtype"], length: number): Buffer {
    invariant(this.#scope, "a buffer is allocated outside of any scope");
    const buffer = this.#references.allocate(dtype, length);
    this.#scope.push(buffer);
    return buffer;
  }

  /**
   * Runs `body` and frees what it allocated, except the buffer of the tensor that it returns, which
   * moves to the outer scope. If the outermost scope throws, frees all buffers of the tape.
   */
  scope<T extends Tensor | void>(body: () => T): T {
    const outer = this.#scope;
    const inner: Buffer[] = [];
    this.#scope = inner;
    let result: T | undefined;
    try {
      return (result = body());
    } catch (error) {
      if (!outer) this.clear();
      throw error;
    } finally {
      this.#scope = outer;
      for (const buffer of inner) {
        if (outer && result && buffer === result.buffer) outer.push(buffer);
        else this.#references.release(buffer);
      }
    }
  }

  /** Frees a buffer before its scope ends, unless a node references it. */
  drop(buffer: Buffer): void {
    if (this.#leaveScope(buffer)) this.#references.release(buffer);
  }

  /**
   * The target of an element-wise op on `buffer`: itself if nothing else references it, or a new
   * buffer.
   */
  inPlaceOf(buffer: Buffer): Buffer {
    const unshared = this.#references.isUnshared(buffer);
    return unshared ? buffer : this.allocate(buffer.dtype, buffer.length);
  }

  /**
   * Transfers a buffer of the current scope, referenced by no node, to the caller, who frees it.
   */
  take(buffer: Buffer): Buffer {
    const owned = this.#leaveScope(buffer) && this.#references.isUnshared(buffer);
    invariant(
      owned,
      "only the scope that allocated a buffer can give it away, and no node may reference it",
    );
    this.#references.disown(buffer);
    return buffer;
  }

  /** Removes a buffer from the current scope; false if it is not one of its buffers. */
  #leaveScope(buffer: Buffer): boolean {
    const scope = this.#scope;
    if (!scope) return false;
    const at = scope.lastIndexOf(buffer); // most are dropped soon
    if (at < 0) return false;
    const last = scope.pop()!;
    if (at < scope.length) scope[at] = last;
    return true;
  }

  /** Adds a node, whose `keep` buffers then live until its backward has run. */
  record(node: Node): void {
    for (const buffer of node.keep) if (buffer) this.#references.retain(buffer);
    this.#nodes.push(node);
  }

  /**
   * Runs `body` in a scope and drops its nodes; backward calls `rerun` to record them again.
   * `rerun` must repeat what `body` did. `reads`: outside buffers that both read and neither writes
   * to; they live until then.
   */
  checkpoint(reads: readonly Buffer[], body: () => Tensor, rerun: () => Tensor): Tensor {
    const first = this.#nodes.length;
    const out = this.scope(body);
    this.#drop(this.#nodes.splice(first));
    if (!out.requiresGrad) return out;
    for (const buffer of reads) this.#references.retain(buffer);
    this.#nodes.push({ outs: [out], keep: reads, rerun });
    return out;
  }

  /**
   * Walks the tape backwards from `loss`, a scalar whose gradient is `seed`. Adds the gradients of
   * parameters to their `grad`.
   */
  backward(loss: Tensor, seed: number): void {
    const gradients = new Map<Tensor, Buffer>();
    try {
      const start = this.#references.allocate(this.#backend.master, 1);
      gradients.set(loss, start);
      this.#backend.upload(start, [seed]);
      for (let node = this.#nodes.pop(); node; node = this.#nodes.pop()) {
        if ("rerun" in node) this.#rerun(node, gradients);
        else this.#runNode(node, gradients);
      }
    } finally {
      for (const rest of gradients.values()) this.#references.release(rest);
    }
  }

  /** Drops the nodes of a forward pass that has no backward pass, or that failed. */
  clear(): void {
    this.#drop(this.#nodes.splice(0));
  }

  /** Runs a node's backward, if the loss depends on it, and frees what it read. */
  #runNode({ backward, inputs, outs, keep }: Node, gradients: Map<Tensor, Buffer>): void {
    const douts: (Buffer | undefined)[] = [];
    let isReached = false;
    for (const out of outs) {
      const dout = gradients.get(out);
      gradients.delete(out);
      douts.push(dout);
      isReached ||= dout !== undefined;
    }
    try {
      if (!isReached) return;
      this.scope(() => {
        const sinks: Sink[] = [];
        for (const input of inputs) sinks.push(this.#sink(input, gradients));
        backward(douts, sinks);
      });
    } finally {
      for (const dout of douts) if (dout) this.#references.release(dout);
      for (const buffer of keep) if (buffer) this.#references.release(buffer);
    }
  }

  /**
   * Records a checkpoint's nodes again, next in line for backward, if the loss depends on it. Their
   * inputs are the same tensors as the first time, so gradients accumulate in the same order as
   * without checkpoints.
   */
  #rerun({ outs: [out], keep, rerun }: Checkpoint, gradients: Map<Tensor, Buffer>): void {
    const dout = gradients.get(out);
    try {
      if (!dout) return;
      this.scope(() => {
        const again = rerun();
        gradients.delete(out);
        gradients.set(again, dout);
      });
    } finally {
      for (const buffer of keep) this.#references.release(buffer);
    }
  }

  #drop(nodes: readonly (Node | Checkpoint)[]): void {
    for (const { keep } of nodes)
      for (const buffer of keep) if (buffer) this.#references.release(buffer);
  }

  #sink(input: Tensor | undefined, gradients: Map<Tensor, Buffer>): Sink {
    if (!input?.requiresGrad) return noSink;
    if (!(input instanceof Parameter))
      return new TensorSink(this.#backend, this.#references, input, gradients);
    const { grad } = input;
    invariant(grad, `parameter ${input.name} is trained but has no gradient buffer`);
    return new ParameterSink(this.#backend, grad);
  }
}

/** Adds to a parameter's gradient. */
class ParameterSink implements Sink {
  readonly needed = true;
  readonly #backend: Backend;
  readonly #gradient: Buffer;

  constructor(backend: Backend, gradient: Buffer) {
    this.#backend = backend;
    this.#gradient = gradient;
  }

  give(gradient: Buffer): void {
    this.#backend.add(this.#gradient, gradient);
  }

  accumulate(): { buffer: Buffer; beta: 0 | 1 } {
    return { buffer: this.#gradient, beta: 1 };
  }

  accumulateZeroed(): Buffer {
    return this.#gradient;
  }
}

/** Collects the gradient of an op's output until that op's backward runs. */
class TensorSink implements Sink {
  readonly needed = true;
  readonly #backend: Backend;
  readonly #references: References;
  readonly #tensor: Tensor;
  readonly #gradients: Map<Tensor, Buffer>;

  constructor(
    backend: Backend,
    references: References,
    tensor: Tensor,
    gradients: Map<Tensor, Buffer>,
  ) {
    this.#backend = backend;
    this.#references = references;
    this.#tensor = tensor;
    this.#gradients = gradients;
  }

  give(gradient: Buffer): void {
    if (this.#gradients.has(this.#tensor)) {
      this.#backend.add(this.accumulate().buffer, gradient);
      return;
    }
    this.#references.retain(gradient);
    this.#gradients.set(this.#tensor, gradient);
  }

  accumulate(): { buffer: Buffer; beta: 0 | 1 } {
    const before = this.#gradients.get(this.#tensor);
    if (before && this.#references.isUnshared(before)) return { buffer: before, beta: 1 };
    const { dtype, length } = this.#tensor.buffer;
    const fresh = this.#references.allocate(dtype, length);
    this.#gradients.set(this.#tensor, fresh);
    if (!before) return { buffer: fresh, beta: 0 };
    try {
      this.#backend.copy(fresh, before); // another tensor shares `before` as its gradient
    } finally {
      this.#references.release(before);
    }
    return { buffer: fresh, beta: 1 };
  }

  accumulateZeroed(): Buffer {
    const { buffer, beta } = this.accumulate();
    if (beta === 0) this.#backend.zero(buffer);
    return buffer;
  }
}

const noSink: Sink = {
  needed: false,
  give: notNeeded,
  accumulate: notNeeded,
  accumulateZeroed: notNeeded,
};

function notNeeded(): never {
  throw new Error("internal: backward made a gradient for an input that needs none");
}
