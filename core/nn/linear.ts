import type { Adapter, OutputRange } from "./adapter.ts";
import { invariant } from "../errors.ts";
import type { ActivationKind } from "../kernels/elementwise.ts";
import { activation as activate } from "../ops/activation.ts";
import { addIncrement } from "../ops/add-increment.ts";
import { linear } from "../ops/linear.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Parameter, Tensor } from "../tensor.ts";

/** What an adapter attaches to: a linear layer, or a part of a fused one. */
export interface Adaptable {
  /** Dotted path; a part's name is appended to its layer's. */
  readonly path: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Set for a part of a fused layer. */
  readonly range?: OutputRange;
  adapter: Adapter | undefined;
}

/** A range of a fused layer's outputs that gets an adapter of its own. */
export interface LinearPart extends Adaptable {
  readonly range: OutputRange;
}

/**
 * A linear layer, y = f(x W^T + bias), with an adapter's increment once one is attached. A
 * fused layer, several in one, has parts: each part's adapter adds to its own outputs.
 */
export class Linear implements Adaptable {
  /** Dotted path of the module, as in the checkpoint. */
  readonly path: string;
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  /** Empty unless the layer is fused. */
  readonly parts: readonly LinearPart[];
  /** The adapter of the whole layer. */
  adapter: Adapter | undefined;

  /** `parts`: the outputs of each part of a fused layer, by name, in the order of W's rows. */
  constructor(
    path: string,
    weight: Parameter,
    bias: Parameter | undefined,
    parts: Readonly<Record<string, number>> = {},
  ) {
    this.path = path;
    this.weight = weight;
    this.bias = bias;
    this.parts = partsOf(this, parts);
  }

  /** What the layer's adapters attach to: its parts, or itself without parts. */
  get adaptable(): readonly Adaptable[] {
    return this.parts.length > 0 ? this.parts : [this];
  }

  get inFeatures(): number {
    return this.weight.shape[1] ?? 0;
  }

  get outFeatures(): number {
    return this.weight.shape[0] ?? 0;
  }

  /** x: [N, in]; returns [N, out]. */
  forward(pass: ForwardPass, x: Tensor, activation?: ActivationKind): Tensor {
    const { weight, bias, adapter } = this;
    for (const { path } of this.adaptable) pass.onInput?.(path, x);
    if (this.parts.some((part) => part.adapter)) return this.#forwardParts(pass, x, activation);
    if (!adapter) return linear(pass, { x, weight, bias }, { activation });
    const { a, e, b, scale } = adapter;
    const dropout = adapter.dropout > 0 ? pass.nextDropout(adapter.dropout) : undefined;
    return linear(pass, { x, weight, bias, a, e, b }, { scale, dropout, activation });
  }

  /** One frozen product, then each part's increment. All parts drop the same elements of x. */
  #forwardParts(pass: ForwardPass, x: Tensor, activation: ActivationKind | undefined): Tensor {
    const { weight, bias } = this;
    let y = linear(pass, { x, weight, bias }, {});
    const probability = this.parts.find((part) => part.adapter)?.adapter?.dropout ?? 0;
    const dropout = probability > 0 ? pass.nextDropout(probability) : undefined;
    for (const { adapter, range } of this.parts) {
      if (!adapter) continue;
      const { a, e, b, scale } = adapter;
      y = addIncrement(pass, { y, x, a, e, b }, { start: range.start, scale, dropout });
    }
    return activation ? activate(pass, { x: y }, { kind: activation }) : y;
  }
}

// --- internal ---

function partsOf(layer: Linear, sizes: Readonly<Record<string, number>>): readonly LinearPart[] {
  const { path, inFeatures, outFeatures } = layer;
  let start = 0;
  const parts = Object.entries(sizes).map(([name, size]): LinearPart => {
    const range = { layer, start };
    start += size;
    return { path: `${path}.${name}`, inFeatures, outFeatures: size, range, adapter: undefined };
  });
  const whole = parts.length === 0 || start === outFeatures;
  invariant(whole, () => `${path}: parts of ${start} outputs do not make up ${outFeatures}`);
  return parts;
}
