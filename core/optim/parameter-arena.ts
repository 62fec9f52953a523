import type { Backend, Buffer } from "../backend.ts";
import type { Parameter } from "../tensor.ts";

/** A parameter's position in the arena. */
interface Slot {
  readonly parameter: Parameter;
  readonly offset: number;
}

/**
 * All trained values in one buffer, and their gradients and Adam moments in three more, so that
 * clipping and the optimizer, which also averages importance, are single passes. Parameters become
 * views of it.
 *
 * Nothing is padded, so a view may begin at any element (as soon as one E has an odd rank, nearly
 * all do): kernels cope, and padding would show in checkpoints, norms and single passes over the
 * arena.
 *
 * Order: `first` (the adapters' E's, so that one mask covers them), other adapter factors, other
 * weights with decay, weights without decay.
 */
export class ParameterArena {
  readonly parameters: readonly Parameter[];
  readonly length: number;
  /** Values below this index belong to the parameters that come first: the adapters' E's. */
  readonly firstLength: number;
  /** Values below this index have weight decay. */
  readonly decayLength: number;
  readonly values: Buffer;
  readonly gradients: Buffer;
  readonly firstMoments: Buffer;
  readonly secondMoments: Buffer;
  readonly #backend: Backend;
  readonly #slots = new Map<Parameter, Slot>();

  /** Moves the parameters' values here and marks the parameters as trained. */
  constructor(backend: Backend, first: readonly Parameter[], rest: readonly Parameter[]) {
    const decayed = [...first, ...rest].filter(hasDecay);
    const plain = [...first, ...rest].filter((p) => !hasDecay(p));
    this.#backend = backend;
    this.parameters = [...decayed, ...plain];
    this.firstLength = totalLength(first);
    this.decayLength = totalLength(decayed);
    this.length = totalLength(this.parameters);
    const allocate = () => backend.alloc(backend.master, this.length);
    this.values = allocate();
    this.gradients = allocate();
    this.firstMoments = allocate();
    this.secondMoments = allocate();
    for (const zero of [this.gradients, this.firstMoments, this.secondMoments]) backend.zero(zero);
    let offset = 0;
    for (const parameter of this.parameters) {
      this.#slots.set(parameter, { parameter, offset });
      this.#move(parameter, offset);
      offset += parameter.length;
    }
  }

  /** A parameter's view of a buffer as long as the arena. */
  partOf(buffer: Buffer, parameter: Parameter): Buffer {
    const slot = this.#slots.get(parameter);
    if (!slot) throw new Error(`internal: ${parameter.name} is not trained`);
    return this.#backend.view(buffer, slot.offset, parameter.length);
  }

  /** Zeroes all gradients. */
  zeroGradients(): void {
    this.#backend.zero(this.gradients);
  }

  #move(parameter: Parameter, offset: number): void {
    const view = this.#backend.view(this.values, offset, parameter.length);
    this.#backend.copy(view, parameter.buffer);
    this.#backend.free(parameter.buffer);
    parameter.buffer = view;
    parameter.requiresGrad = true;
    parameter.grad = this.#backend.view(this.gradients, offset, parameter.length);
  }
}

/**
 * As in the reference: everything decays, adapters included, but biases and the weights of norms.
 * These are the vectors, whatever a family calls them.
 */
function hasDecay({ name, shape }: Parameter): boolean {
  return shape.length > 1 && !name.endsWith("bias");
}

function totalLength(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, p) => sum + p.length, 0);
}
