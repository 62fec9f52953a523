import type { Backend, Buffer } from "./backend.ts";
import { invariant } from "./errors.ts";
import { Parameter, type Tensor } from "./tensor.ts";

/**
 * Where backward puts the gradient of one input of an op. Exactly one of `give` and `accumulate` is called, once,
 * and only where `needed`.
 */
export interface Sink {
  readonly needed: boolean;
  /** Hands over a gradient that the op has allocated, or has made in place of the one it was handed. */
  give(gradient: Buffer): void;
  /** A buffer to write to: `beta` 1 means that it holds a gradient already, to be added to; 0 that it is to be set. */
  accumulate(): { readonly buffer: Buffer; readonly beta: 0 | 1 };
  /** A buffer that holds numbers (zeros, if nothing came before), to be added to. */
  accumulateZeroed(): Buffer;
}

export interface Node {
  readonly op: string;
  readonly inputs: readonly (Tensor | undefined)[];
  readonly out: Tensor;
  /** Buffers that backward reads; they live until it has run. */
  readonly keep: readonly Buffer[];
  readonly backward: (dout: Buffer, sinks: readonly Sink[]) => void;
}

/**
 * Stands for the nodes of a part of the model that were dropped after its forward: backward runs the part again to have them
 * (activation checkpointing, Chen et al. 2016).
 */
interface Checkpoint {
  readonly out: Tensor;
  /** Buffers that the part reads. */
  readonly keep: readonly Buffer[];
  readonly rerun: () => Tensor;
}

/**
 * Owns the buffers of a forward and backward pass. A buffer lives while a scope or a node of the tape holds it: scopes end
 * with the layer that opened them, nodes with their backward, so memory falls as backward proceeds.
 */
export class Tape {
  readonly #backend: Backend;
  readonly #references = new Map<Buffer, number>();
  #scope: Set<Buffer> | undefined;
  #nodes: (Node | Checkpoint)[] = [];
  /** Off for evaluation: no node is recorded and nothing outlives its scope. */
  readonly recording: boolean;

  constructor(backend: Backend, { recording }: { recording: boolean }) {
    this.#backend = backend;
    this.recording = recording;
  }

  /** A buffer that lives until the current scope ends, or longer where a node or an outer scope holds it. */
  allocate(dtype: Buffer["dtype"], length: number): Buffer {
    invariant(this.#scope, "a buffer is allocated outside of a scope");
    const buffer = this.#backend.alloc(dtype, length);
    this.#references.set(buffer, 1);
    this.#scope.add(buffer);
    return buffer;
  }

  /**
   * Runs `body`; of what it allocated, only the buffer of the tensor that it returns passes to the outer scope.
   * Where the outermost scope fails, the tape is dropped with all that its nodes held.
   */
  scope<T extends Tensor | void>(body: () => T): T {
    const outer = this.#scope;
    const inner = new Set<Buffer>();
    this.#scope = inner;
    let result: T | undefined;
    try {
      return (result = body());
    } catch (error) {
      if (!outer) this.#abandon();
      throw error;
    } finally {
      this.#scope = outer;
      for (const buffer of inner) {
        if (outer && result && buffer === result.buffer) outer.add(buffer);
        else this.#release(buffer);
      }
    }
  }

  /** Frees a buffer before its scope ends, unless a node holds it. */
  drop(buffer: Buffer): void {
    if (this.#scope?.delete(buffer)) this.#release(buffer);
  }

  /** A buffer for what an op makes of `buffer` element by element: `buffer` itself, where nobody else holds it, or a new one. */
  inPlaceOf(buffer: Buffer): Buffer {
    const alone = this.#references.get(buffer) === 1;
    return alone ? buffer : this.allocate(buffer.dtype, buffer.length);
  }

  /** Hands a buffer of the current scope, which no node holds, over to the caller, who frees it. */
  take(buffer: Buffer): Buffer {
    const owned = this.#scope?.delete(buffer) === true && this.#references.get(buffer) === 1;
    invariant(owned, "a buffer is taken from the scope that allocated it, and from nobody else");
    this.#references.delete(buffer);
    return buffer;
  }

  record(node: Node): void {
    for (const buffer of node.keep) this.#retain(buffer);
    this.#nodes.push(node);
  }

  /**
   * Runs `body` in a scope and drops its nodes; backward calls `rerun` for them when it comes to them. `reads`: buffers from
   * outside that both read and neither writes to; they live until then. `rerun` must do what `body` did.
   */
  checkpoint(reads: readonly Buffer[], body: () => Tensor, rerun: () => Tensor): Tensor {
    const first = this.#nodes.length;
    const out = this.scope(body);
    this.#drop(this.#nodes.splice(first));
    if (!out.requiresGrad) return out;
    for (const buffer of reads) this.#retain(buffer);
    this.#nodes.push({ out, keep: reads, rerun });
    return out;
  }

  /** Walks the tape back from `loss` (one number), whose gradient is `seed`. Gradients of parameters are added to their `grad`. */
  backward(loss: Tensor, seed: number): void {
    const gradients = new Map<Tensor, Buffer>();
    const start = this.#backend.alloc(this.#backend.master, 1);
    this.#references.set(start, 1);
    this.#backend.upload(start, [seed]);
    gradients.set(loss, start);
    for (let node = this.#nodes.pop(); node; node = this.#nodes.pop()) {
      const dout = gradients.get(node.out);
      gradients.delete(node.out);
      if (dout) {
        if ("rerun" in node) gradients.set(this.#restore(node), dout);
        else this.#runNode(node, dout, gradients);
      }
      for (const buffer of node.keep) this.#release(buffer);
    }
    for (const rest of gradients.values()) this.#release(rest);
  }

  /** Drops what a forward pass without a backward has left. */
  clear(): void {
    this.#drop(this.#nodes.splice(0));
  }

  /** Runs a node's backward, and frees the gradient that it was handed. */
  #runNode({ backward, inputs }: Node, dout: Buffer, gradients: Map<Tensor, Buffer>): void {
    this.scope(() =>
      backward(
        dout,
        inputs.map((input) => this.#sink(input, gradients)),
      ),
    );
    this.#release(dout);
  }

  /**
   * Puts a checkpoint's nodes back on the tape, to be walked next. They know their inputs as the first ones did, so that every
   * gradient is added to what is there in the same order as without checkpoints. Returns the output as they know it.
   */
  #restore({ out, rerun }: Checkpoint): Tensor {
    let again = out;
    this.scope(() => {
      again = rerun();
    });
    return again;
  }

  #drop(nodes: readonly (Node | Checkpoint)[]): void {
    for (const { keep } of nodes) for (const buffer of keep) this.#release(buffer);
  }

  #abandon(): void {
    for (const buffer of this.#references.keys()) this.#backend.free(buffer);
    this.#references.clear();
    this.#nodes = [];
  }

  #retain(buffer: Buffer): void {
    const count = this.#references.get(buffer);
    if (count !== undefined) this.#references.set(buffer, count + 1); // weights are nobody's: they are not counted
  }

  #release(buffer: Buffer): void {
    const count = this.#references.get(buffer);
    if (count === undefined) return;
    if (count > 1) {
      this.#references.set(buffer, count - 1);
      return;
    }
    this.#references.delete(buffer);
    this.#backend.free(buffer);
  }

  #sink(input: Tensor | undefined, gradients: Map<Tensor, Buffer>): Sink {
    const backend = this.#backend;
    if (!input?.requiresGrad) return noSink;
    if (input instanceof Parameter) {
      const { grad } = input;
      invariant(grad, `parameter ${input.name} is trained but has no gradient buffer`);
      return {
        needed: true,
        give: (gradient) => backend.add(grad, gradient),
        accumulate: () => ({ buffer: grad, beta: 1 }),
        accumulateZeroed: () => grad,
      };
    }
    const accumulate = (): { buffer: Buffer; beta: 0 | 1 } => {
      const before = gradients.get(input);
      if (before && this.#references.get(before) === 1) return { buffer: before, beta: 1 };
      const fresh = backend.alloc(input.buffer.dtype, input.buffer.length);
      this.#references.set(fresh, 1);
      gradients.set(input, fresh);
      if (!before) return { buffer: fresh, beta: 0 };
      backend.copy(fresh, before); // `before` is another tensor's gradient too
      this.#release(before);
      return { buffer: fresh, beta: 1 };
    };
    return {
      needed: true,
      accumulate,
      accumulateZeroed() {
        const { buffer, beta } = accumulate();
        if (beta === 0) backend.zero(buffer);
        return buffer;
      },
      give: (gradient) => {
        if (gradients.has(input)) backend.add(accumulate().buffer, gradient);
        else {
          this.#retain(gradient);
          gradients.set(input, gradient);
        }
      },
    };
  }
}

const noSink: Sink = {
  needed: false,
  give: notNeeded,
  accumulate: notNeeded,
  accumulateZeroed: notNeeded,
};

function notNeeded(): never {
  throw new Error("internal: backward made a gradient that nobody needs");
}
