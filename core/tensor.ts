import type { Buffer } from "./backend.ts";
import { invariant } from "./errors.ts";

/** A buffer with a shape; `requiresGrad`: backward computes its gradient. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly buffer: Buffer;
  readonly requiresGrad: boolean;
}

/** The number of elements of a shape. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

interface ParameterOptions {
  readonly storedShape?: readonly number[];
  readonly constant?: boolean;
}

/**
 * A named tensor of the model. Declared with its shape first, it gets its values later, from a
 * checkpoint or an initial fill, so that `plan` can build a model without memory for it.
 */
export class Parameter implements Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Shape of the same values in files. */
  readonly storedShape: readonly number[];
  /** Never trained by any method, as torch's buffers. */
  readonly constant: boolean;
  /** Whether it is trained: backward then adds to `grad`. */
  requiresGrad = false;
  /** A view of the gradient arena of the trained parameters. */
  grad: Buffer | undefined;
  #buffer: Buffer | undefined;

  constructor(
    name: string,
    shape: readonly number[],
    { storedShape = shape, constant = false }: ParameterOptions = {},
  ) {
    this.name = name;
    this.shape = shape;
    this.storedShape = storedShape;
    this.constant = constant;
  }

  get length(): number {
    return elementsOf(this.shape);
  }

  /** Whether it has values. */
  get loaded(): boolean {
    return this.#buffer !== undefined;
  }

  get buffer(): Buffer {
    invariant(this.#buffer, () => `parameter ${this.name} has no values yet`);
    return this.#buffer;
  }

  set buffer(buffer: Buffer) {
    invariant(
      buffer.length === this.length,
      `${this.name}: ${buffer.length} values for [${this.shape.join(", ")}]`,
    );
    this.#buffer = buffer;
  }
}
