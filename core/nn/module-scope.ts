import { invariant } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { Parameter } from "../tensor.ts";
import { LayerNorm, RMSNorm } from "./norms.ts";
import { type Adaptable, Linear } from "./linear.ts";

/** The initial values of a parameter that the checkpoint lacks. */
export type Fill = "zeros" | "ones" | { readonly normal: number };

/** Everything that a model declares, by dotted path, which is the checkpoint's own name for it. */
export interface ModuleTree {
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly linears: ReadonlyMap<string, Linear>;
  /** Linear layers, or the parts of fused ones in their place. */
  readonly adaptable: ReadonlyMap<string, Adaptable>;
  readonly fills: ReadonlyMap<string, Fill>;
  /** Tensors of the checkpoint that this configuration saves but does not compute with. */
  readonly unused: ReadonlySet<string>;
}

/** Options of a linear layer. */
export interface LinearOptions {
  /** Whether the layer has a bias. Default: true. */
  readonly bias?: boolean;
  /**
   * The parts of a fused layer, each with an adapter of its own: their outputs by name, in the
   * order of the weight's rows. Default: none.
   */
  readonly parts?: Readonly<Record<string, number>>;
}

/** Declares the parameters of a model under the checkpoint's names, scope by scope. */
export class ModuleScope {
  readonly path: string;
  readonly #parameters: Map<string, Parameter>;
  readonly #linears: Map<string, Linear>;
  readonly #fills: Map<string, Fill>;
  readonly #unused: Set<string>;

  private constructor(path: string, parent: ModuleScope | undefined) {
    this.path = path;
    this.#parameters = parent ? parent.#parameters : new Map();
    this.#linears = parent ? parent.#linears : new Map();
    this.#fills = parent ? parent.#fills : new Map();
    this.#unused = parent ? parent.#unused : new Set();
  }

  /** The scope of a new model. */
  static root(): ModuleScope {
    return new ModuleScope("", undefined);
  }

  /** Everything declared so far, in any scope of the model. */
  get tree(): ModuleTree {
    return {
      parameters: this.#parameters,
      linears: this.#linears,
      adaptable: new Map(
        [...this.#linears.values()].flatMap((linear) =>
          linear.adaptable.map((one) => [one.path, one] as const),
        ),
      ),
      fills: this.#fills,
      unused: this.#unused,
    };
  }

  /** A nested scope; `name` may be a dotted path. */
  child(name: string): ModuleScope {
    return new ModuleScope(this.#join(name), this);
  }

  /** A trainable parameter; `storedShape`: its shape in the checkpoint, if it differs. */
  parameter(name: string, shape: readonly number[], fill: Fill, storedShape = shape): Parameter {
    return this.#declare(new Parameter(this.#join(name), shape, { storedShape }), fill);
  }

  /** A parameter that no method trains. */
  constant(name: string, shape: readonly number[], fill: Fill, storedShape = shape): Parameter {
    const options = { storedShape, constant: true };
    return this.#declare(new Parameter(this.#join(name), shape, options), fill);
  }

  /** Names tensors that the checkpoint may hold and the model does not compute with. */
  unused(...names: readonly string[]): void {
    for (const name of names) this.#unused.add(this.#join(name));
  }

  /** An embedding table [rows, width], initially N(0, std). */
  table(name: string, rows: number, width: number, std: number): Parameter {
    return this.child(name).parameter("weight", [rows, width], { normal: std });
  }

  /** A linear layer: weight [out, in], initially N(0, std), and bias [out], initially 0. */
  linear(
    name: string,
    inFeatures: number,
    outFeatures: number,
    std: number,
    { bias = true, parts }: LinearOptions = {},
  ): Linear {
    const scope = this.child(name);
    const weight = scope.parameter("weight", [outFeatures, inFeatures], { normal: std });
    const own = bias ? scope.parameter("bias", [outFeatures], "zeros") : undefined;
    const linear = new Linear(scope.path, weight, own, parts);
    this.#linears.set(scope.path, linear);
    return linear;
  }

  /** A LayerNorm over `width` features: weight initially 1, bias 0 unless `bias` is false. */
  layerNorm(
    name: string,
    width: number,
    eps: number,
    { bias = true }: { readonly bias?: boolean } = {},
  ): LayerNorm {
    const scope = this.child(name);
    checkEps(scope.path, eps);
    const weight = scope.parameter("weight", [width], "ones");
    return new LayerNorm(weight, bias ? scope.parameter("bias", [width], "zeros") : undefined, eps);
  }

  /** An RMSNorm over `width` features: weight initially 1. */
  rmsNorm(name: string, width: number, eps: number): RMSNorm {
    const scope = this.child(name);
    checkEps(scope.path, eps);
    return new RMSNorm(scope.parameter("weight", [width], "ones"), eps);
  }

  #declare(parameter: Parameter, fill: Fill): Parameter {
    const { name, shape } = parameter;
    const wrong = shape.findIndex((size) => !(Number.isSafeInteger(size) && size >= 0));
    invariant(wrong < 0, () => {
      const size: unknown = shape[wrong];
      return `parameter ${name}: a size must be a whole number, got ${typeof size} ${String(size)}`;
    });
    invariant(!this.#parameters.has(name), `parameter ${name} is declared twice`);
    invariant(
      isFill(fill),
      () =>
        `parameter ${name}: its fill must be "zeros", "ones" or { normal: std }, got ${excerpt(fill)}`,
    );
    this.#parameters.set(name, parameter);
    this.#fills.set(name, fill);
    return parameter;
  }

  #join(name: string): string {
    return this.path === "" ? name : `${this.path}.${name}`;
  }
}

// --- internal ---

// A plugin's types are not checked when it is loaded: a forgotten argument would train to NaN.

/** Whether a fill has values: N(0, std) with a std from 0. */
function isFill(fill: Fill): boolean {
  if (typeof fill === "string") return fill === "zeros" || fill === "ones";
  return Number.isFinite(fill?.normal) && fill.normal >= 0;
}

function checkEps(path: string, eps: number): void {
  invariant(eps > 0, () => `${path}: the eps of a norm must be above 0, got ${eps}`);
}
