import type { Adapter, OutputRange } from "./adapter.ts";
import { invariant } from "../errors.ts";
import type { ActivationKind, Dropout } from "../kernels/elementwise.ts";
import { type Increment, type LinearMember, linears } from "../ops/linears.ts";
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
    const [y] = linears(pass, x, [this.member(pass, x, activation)]);
    return y;
  }

  /**
   * The layer as a member of a group that reads x [N, in]: see `projectAll`. Takes the dropout site
   * of its adapters, if they drop anything.
   */
  member(pass: ForwardPass, x: Tensor, activation?: ActivationKind): LinearMember {
    const { weight, bias } = this;
    if (pass.onInput) for (const { path } of this.adaptable) pass.onInput(path, x);
    return { weight, bias, increments: this.#increments(pass), activation };
  }

  /**
   * The increment of the whole layer, or of each part; an adapter trained elsewhere may cover a
   * fused layer as a whole. All parts drop the same elements of x.
   */
  #increments(pass: ForwardPass): readonly Increment[] {
    const { adapter, parts } = this;
    const first = adapter ?? parts.find((part) => part.adapter)?.adapter;
    if (!first) return [];
    const dropout = first.dropout > 0 ? pass.nextDropout(first.dropout) : undefined;
    const increments: Increment[] = [];
    if (adapter) increments.push(incrementOf(adapter, dropout, undefined));
    for (const part of parts)
      if (part.adapter) increments.push(incrementOf(part.adapter, dropout, part.range.start));
    return increments;
  }
}

/** Applies layers that read the same x, [N, in], in one call: a result for each, [N, out]. */
export function projectAll<const Layers extends readonly Linear[]>(
  pass: ForwardPass,
  x: Tensor,
  layers: Layers,
): { readonly [Index in keyof Layers]: Tensor } {
  const members = layers.map((layer) => layer.member(pass, x));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `map` forgets the length
  return linears(pass, x, members) as unknown as { readonly [Index in keyof Layers]: Tensor };
}

// --- internal ---

const incrementOf = (
  { a, e, b, scale }: Adapter,
  dropout: Dropout | undefined,
  start: number | undefined,
): Increment => ({ a, e, b, scale, dropout, start });

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
