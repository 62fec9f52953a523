import type { Buffer } from "./backend.ts";
import { invariant } from "./errors.ts";

/** A buffer with a shape, and whether a gradient must reach it. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly buffer: Buffer;
  readonly requiresGrad: boolean;
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

interface ParameterOptions {
  readonly storedShape?: readonly number[];
  readonly constant?: boolean;
}

/**
 * A named tensor of the model. It is declared with its shape first and gets its numbers later, from a checkpoint or an
 * initial fill, so that a model can be planned without memory.
 */
export class Parameter implements Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Shape of the same numbers in files. */
  readonly storedShape: readonly number[];
  /** Part of the model that no method trains, as torch's buffers are. */
  readonly constant: boolean;
  /** Trained, so that backward adds to `grad`. */
  requiresGrad = false;
  /** A view of the trained parameters' gradient arena; backward adds to it. */
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

  get loaded(): boolean {
    return this.#buffer !== undefined;
  }

  get buffer(): Buffer {
    invariant(this.#buffer, () => `parameter ${this.name} has no numbers yet`);
    return this.#buffer;
  }

  set buffer(buffer: Buffer) {
    invariant(
      buffer.length === this.length,
      `${this.name}: ${buffer.length} numbers for [${this.shape.join(", ")}]`,
    );
    this.#buffer = buffer;
  }
}
