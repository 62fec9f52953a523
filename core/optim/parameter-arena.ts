import type { Backend, Buffer } from "../backend.ts";
import type { Parameter } from "../tensor.ts";

/** A parameter's place in the arena. */
interface Slot {
  readonly parameter: Parameter;
  readonly offset: number;
}

/**
 * All trained numbers in one buffer, and their gradients and Adam moments in three more, so that clipping
 * and the optimizer, which also averages importance, are single passes. Parameters keep views of it.
 *
 * Order: `first` (adapters' E's, so that one mask covers them), other adapter factors, other weights with decay, then those
 * without.
 */
export class ParameterArena {
  readonly parameters: readonly Parameter[];
  readonly length: number;
  /** Numbers before this have weight decay. */
  readonly decayLength: number;
  readonly values: Buffer;
  readonly gradients: Buffer;
  readonly firstMoments: Buffer;
  readonly secondMoments: Buffer;
  readonly #backend: Backend;
  readonly #slots = new Map<Parameter, Slot>();

  /** The parameters must have their numbers; they are moved here and become trained. */
  constructor(backend: Backend, first: readonly Parameter[], rest: readonly Parameter[]) {
    const decayed = [...first, ...rest].filter(hasDecay);
    const plain = [...first, ...rest].filter((p) => !hasDecay(p));
    this.#backend = backend;
    this.parameters = [...decayed, ...plain];
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

  /** The part of an arena-long buffer that belongs to a parameter. */
  partOf(buffer: Buffer, parameter: Parameter): Buffer {
    const slot = this.#slots.get(parameter);
    if (!slot) throw new Error(`internal: ${parameter.name} is not trained`);
    return this.#backend.view(buffer, slot.offset, parameter.length);
  }

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

/** The reference decays everything but biases and LayerNorms, adapters included. */
function hasDecay({ name }: Parameter): boolean {
  return !name.endsWith("bias") && !/LayerNorm|layer_norm/.test(name);
}

function totalLength(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, p) => sum + p.length, 0);
}
