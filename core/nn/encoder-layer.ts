import type { ForwardPass } from "../forward-pass.ts";
import type { ActivationKind } from "../kernels/elementwise.ts";
import { addDropout } from "../ops/add-dropout.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import type { Tensor } from "../tensor.ts";
import type { BatchRows } from "./batch-rows.ts";
import type { Norm, ResidualNorm } from "./norms.ts";
import { type FeedForward, Mlp } from "./mlp.ts";
import type { ModuleScope } from "./module-scope.ts";
import { type Attention, SelfAttention } from "./self-attention.ts";

/** A layer of an encoder. */
export interface EncoderLayer<Shared = undefined> {
  /** x: [N, C]; returns [N, C], or [B, C] if only first tokens are computed. */
  forward(pass: ForwardPass, x: Tensor, rows: BatchRows<Shared>): Tensor;
}

/** The parts of a post-norm layer. */
export interface PostNormParts<Shared> {
  readonly attention: Attention<Shared>;
  readonly attentionNorm: ResidualNorm;
  readonly mlp: FeedForward;
  readonly mlpNorm: ResidualNorm;
  /** Dropout probability of both blocks' results, before their residuals. */
  readonly dropout: number;
}

/** Paths of a post-norm layer's modules inside the layer, as the checkpoint names them. */
export interface PostNormNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly output: string;
  readonly attentionNorm: string;
  readonly up: string;
  readonly down: string;
  readonly mlpNorm: string;
}

/** Sizes and settings of a plain layer; a plugin's parsed config can be one. */
export interface LayerSizes {
  readonly hiddenSize: number;
  readonly heads: number;
  readonly ffnSize: number;
  readonly activation: ActivationKind;
  readonly layerNormEps: number;
  readonly initializerRange: number;
  readonly dropout: { readonly hidden: number; readonly attention: number };
}

/** A layer with its norms behind the residuals (as in BERT): x = norm(x + block(x)), twice. */
export class PostNormLayer<Shared = undefined> implements EncoderLayer<Shared> {
  readonly #parts: PostNormParts<Shared>;

  constructor(parts: PostNormParts<Shared>) {
    this.#parts = parts;
  }

  /** Declares a layer of self-attention and a plain MLP under a checkpoint's names. */
  static named(scope: ModuleScope, names: PostNormNames, sizes: LayerSizes): PostNormLayer {
    const { hiddenSize, heads, ffnSize, activation, dropout } = sizes;
    const linear = (name: string, from = hiddenSize, to = hiddenSize) =>
      scope.linear(name, from, to, sizes.initializerRange);
    const norm = (name: string) => scope.layerNorm(name, hiddenSize, sizes.layerNormEps);
    return new PostNormLayer({
      attention: new SelfAttention({
        query: linear(names.query),
        key: linear(names.key),
        value: linear(names.value),
        output: linear(names.output),
        heads,
        dropout: dropout.attention,
      }),
      attentionNorm: norm(names.attentionNorm),
      mlp: new Mlp({
        up: linear(names.up, hiddenSize, ffnSize),
        down: linear(names.down, ffnSize, hiddenSize),
        activation,
      }),
      mlpNorm: norm(names.mlpNorm),
      dropout: dropout.hidden,
    });
  }

  forward(pass: ForwardPass, x: Tensor, rows: BatchRows<Shared>): Tensor {
    const { attention, attentionNorm, mlp, mlpNorm, dropout } = this.#parts;
    const queries = queryRows(pass, x, rows);
    const context = attention.forward(pass, queries, x, rows);
    const attended = attentionNorm.add(pass, context, queries, dropout);
    return mlpNorm.add(pass, mlp.forward(pass, attended), attended, dropout);
  }
}

/** The parts of a pre-norm layer. */
export interface PreNormParts<Shared> {
  /** Absent where the layer's input is normalized already. */
  readonly attentionNorm: Norm | undefined;
  readonly attention: Attention<Shared>;
  readonly mlpNorm: Norm;
  readonly mlp: FeedForward;
  /** Dropout probabilities of the blocks' results, before their residuals; one for both. */
  readonly dropout: number | { readonly attention: number; readonly mlp: number };
}

/** A layer with its norms before the blocks (as in ModernBERT): x = x + block(norm(x)), twice. */
export class PreNormLayer<Shared = undefined> implements EncoderLayer<Shared> {
  readonly #parts: PreNormParts<Shared>;

  constructor(parts: PreNormParts<Shared>) {
    this.#parts = parts;
  }

  forward(pass: ForwardPass, x: Tensor, rows: BatchRows<Shared>): Tensor {
    const { attentionNorm, attention, mlpNorm, mlp, dropout } = this.#parts;
    const own = typeof dropout === "number" ? { attention: dropout, mlp: dropout } : dropout;
    const normal = attentionNorm ? attentionNorm.forward(pass, x) : x;
    const queries = queryRows(pass, normal, rows);
    const context = attention.forward(pass, queries, normal, rows);
    const residual = normal === x ? queries : queryRows(pass, x, rows);
    const add = (block: Tensor, to: Tensor, p: number) =>
      addDropout(pass, { x: block, residual: to }, { dropout: pass.nextDropout(p) });
    const attended = add(context, residual, own.attention);
    return add(mlp.forward(pass, mlpNorm.forward(pass, attended)), attended, own.mlp);
  }
}

/** The rows of x that a layer computes: all, or first tokens only. */
export function queryRows(pass: ForwardPass, x: Tensor, { firsts }: BatchRows<unknown>): Tensor {
  return firsts ? gatherRows(pass, { table: x }, { ids: firsts.ids }) : x;
}
