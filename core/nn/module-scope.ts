import { invariant } from "../errors.ts";
import { Parameter } from "../tensor.ts";
import { Linear } from "./linear.ts";

/** How a parameter that no checkpoint holds begins. */
export type Fill = "zeros" | "ones" | { readonly normal: number };

/** Everything that a model declares, by dotted path. Paths are the checkpoint's own names. */
export interface ModuleTree {
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly linears: ReadonlyMap<string, Linear>;
  readonly fills: ReadonlyMap<string, Fill>;
}

/** Declares the parameters of a model: the path in the code spells the path in the checkpoint. */
export class ModuleScope {
  readonly path: string;
  readonly #parameters: Map<string, Parameter>;
  readonly #linears: Map<string, Linear>;
  readonly #fills: Map<string, Fill>;

  private constructor(path: string, parent: ModuleScope | undefined) {
    this.path = path;
    this.#parameters = parent ? parent.#parameters : new Map();
    this.#linears = parent ? parent.#linears : new Map();
    this.#fills = parent ? parent.#fills : new Map();
  }

  static root(): ModuleScope {
    return new ModuleScope("", undefined);
  }

  get tree(): ModuleTree {
    return { parameters: this.#parameters, linears: this.#linears, fills: this.#fills };
  }

  child(name: string): ModuleScope {
    return new ModuleScope(this.#join(name), this);
  }

  /** `storedShape`: the checkpoint's shape of the same numbers, where the model sees them otherwise. */
  parameter(name: string, shape: readonly number[], fill: Fill, storedShape = shape): Parameter {
    return this.#declare(new Parameter(this.#join(name), shape, { storedShape }), fill);
  }

  /** Numbers of the checkpoint that no method trains. */
  constant(name: string, shape: readonly number[], fill: Fill, storedShape = shape): Parameter {
    const options = { storedShape, constant: true };
    return this.#declare(new Parameter(this.#join(name), shape, options), fill);
  }

  /** weight [out, in] ~ N(0, std) and bias [out] = 0 until a checkpoint says otherwise. */
  linear(name: string, inFeatures: number, outFeatures: number, std: number): Linear {
    const scope = this.child(name);
    const weight = scope.parameter("weight", [outFeatures, inFeatures], { normal: std });
    const linear = new Linear(scope.path, weight, scope.parameter("bias", [outFeatures], "zeros"));
    this.#linears.set(scope.path, linear);
    return linear;
  }

  layerNorm(name: string, width: number, eps: number): LayerNorm {
    const scope = this.child(name);
    return {
      weight: scope.parameter("weight", [width], "ones"),
      bias: scope.parameter("bias", [width], "zeros"),
      eps,
    };
  }

  #declare(parameter: Parameter, fill: Fill): Parameter {
    const { name } = parameter;
    invariant(!this.#parameters.has(name), `parameter ${name} is declared twice`);
    this.#parameters.set(name, parameter);
    this.#fills.set(name, fill);
    return parameter;
  }

  #join(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }
}

export interface LayerNorm {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly eps: number;
}
