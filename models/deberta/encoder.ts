import type { Buffer } from "../../core/backend.ts";
import type { Packing } from "../../core/kernels/attention.ts";
import type { Linear } from "../../core/nn/linear.ts";
import type { LayerNorm } from "../../core/nn/norms.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { PaddingRows } from "../../core/ops/padding-rows.ts";
import { addLayerNorm } from "../../core/ops/add-layer-norm.ts";
import { appendZeroRows, firstRows } from "../../core/ops/append-zero-rows.ts";
import { gatherRows } from "../../core/ops/gather-rows.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import { type BatchGeometry, DebertaAttention, type RelativeTable } from "./attention.ts";
import type { DebertaConfig } from "./config.ts";
import { DebertaConvolution } from "./convolution.ts";
import { relativeRows, relativeSpan } from "./relative-positions.ts";

/** Attention, then the feed-forward block, each with residual and LayerNorm. */
class DebertaLayer {
  readonly #config: DebertaConfig;
  readonly #attention: DebertaAttention;
  readonly #up: Linear;
  readonly #down: Linear;
  readonly #norm: LayerNorm;

  constructor(scope: ModuleScope, config: DebertaConfig) {
    const { hiddenSize, ffnSize, initializerRange: std } = config;
    this.#config = config;
    this.#attention = new DebertaAttention(scope.child("attention"), config);
    this.#up = scope.child("intermediate").linear("dense", hiddenSize, ffnSize, std);
    const output = scope.child("output");
    this.#down = output.linear("dense", ffnSize, hiddenSize, std);
    this.#norm = output.layerNorm("LayerNorm", hiddenSize, config.layerNormEps);
  }

  forward(pass: ForwardPass, x: Tensor, geometry: BatchGeometry, firstTokens?: Buffer): Tensor {
    const { activation, dropout } = this.#config;
    const attended = this.#attention.forward(pass, x, geometry, firstTokens);
    const intermediate = this.#up.forward(pass, attended, activation);
    const projected = this.#down.forward(pass, intermediate);
    const { weight, bias, eps } = this.#norm;
    const attrs = { eps, dropout: pass.nextDropout(dropout.hidden) };
    return addLayerNorm(pass, { x: projected, residual: attended, weight, bias }, attrs);
  }
}

/** The stack of layers and the relative embeddings that they share. */
export class DebertaEncoder {
  readonly #config: DebertaConfig;
  readonly #layers: readonly DebertaLayer[];
  readonly #relative: Parameter | undefined;
  readonly #relativeNorm: LayerNorm | undefined;
  readonly #convolution: DebertaConvolution | undefined;

  constructor(scope: ModuleScope, config: DebertaConfig) {
    const { hiddenSize, layerNormEps, initializerRange } = config;
    this.#config = config;
    this.#layers = Array.from(
      { length: config.layers },
      (_, i) => new DebertaLayer(scope.child(`layer.${i}`), config),
    );
    if (config.relativeAttention) {
      const shape = [2 * relativeSpan(config), hiddenSize];
      this.#relative = scope
        .child("rel_embeddings")
        .parameter("weight", shape, { normal: initializerRange });
      if (config.normRelEmbeddings)
        this.#relativeNorm = scope.layerNorm("LayerNorm", hiddenSize, layerNormEps);
    } else if (config.normRelEmbeddings) scope.unused("LayerNorm.weight", "LayerNorm.bias");
    if (config.convKernelSize > 0)
      this.#convolution = new DebertaConvolution(scope.child("conv"), config);
  }

  /** x: the embeddings' output, [N, C], with padding rows below if any; returns the same shape. */
  forward(
    pass: ForwardPass,
    x: Tensor,
    batch: TokenBatch,
    packing: Packing,
    padding?: PaddingRows,
  ): Tensor {
    return this.#run(pass, x, batch, packing, { padding });
  }

  /** Hidden states of first tokens, [B, C]; the last layer computes only these unless observed. */
  firstRows(pass: ForwardPass, x: Tensor, batch: TokenBatch, packing: Packing): Tensor {
    const firstTokens = pass.integers(batch.offsets.subarray(0, packing.sequences));
    const convolvesLast = this.#convolution !== undefined && this.#layers.length === 1;
    if (!pass.observed && !convolvesLast)
      return this.#run(pass, x, batch, packing, { firstTokens });
    const hidden = this.forward(pass, x, batch, packing);
    return gatherRows(pass, { table: hidden }, { ids: firstTokens });
  }

  #run(
    pass: ForwardPass,
    x: Tensor,
    batch: TokenBatch,
    packing: Packing,
    { padding, firstTokens }: { padding?: PaddingRows | undefined; firstTokens?: Buffer },
  ): Tensor {
    const relative = this.#relativeTable(pass, packing.span);
    const geometry = { packing, padding, relative };
    const shared = [
      packing.offsets,
      packing.positions,
      relative?.embeddings.buffer,
      relative?.index,
      padding?.mix,
      firstTokens,
    ];
    const last = this.#layers.length - 1;
    let hidden = x;
    this.#layers.forEach((layer, i) => {
      const input = hidden;
      hidden = pass.checkpoint([input.buffer, ...shared], () => {
        const out = layer.forward(pass, input, geometry, i === last ? firstTokens : undefined);
        return i === 0 && this.#convolution ? this.#convolve(pass, x, out, batch, padding) : out;
      });
      pass.tape.drop(input.buffer); // without a tape, only one layer's output lives at a time
      pass.observe(`hidden.${i + 1}`, hidden);
    });
    return hidden;
  }

  /** Padding rows of the result are zeros, as the convolution masks padding. */
  #convolve(
    pass: ForwardPass,
    x: Tensor,
    out: Tensor,
    batch: TokenBatch,
    padding?: PaddingRows,
  ): Tensor {
    const convolution = this.#convolution;
    if (!convolution) return out;
    if (!padding) return convolution.forward(pass, x, out, batch);
    const rows = batch.ids.length;
    const [source, residual] = [x, out].map((t) => firstRows(pass, { x: t }, { rows }));
    const mixed = convolution.forward(pass, source!, residual!, batch);
    return appendZeroRows(pass, { x: mixed }, { rows: padding.count });
  }

  /** The rows within reach of the batch's sequences: at most 2n - 1 for n positions. */
  #relativeTable(pass: ForwardPass, span: number): RelativeTable | undefined {
    if (!this.#relative) return undefined;
    const { first, count, index } = relativeRows(span, this.#config);
    const ids = pass.integers(Int32Array.from({ length: count }, (_, i) => first + i));
    const rows = gatherRows(pass, { table: this.#relative }, { ids });
    const norm = this.#relativeNorm;
    const embeddings = norm
      ? addLayerNorm(pass, { x: rows, weight: norm.weight, bias: norm.bias }, { eps: norm.eps })
      : rows;
    return { embeddings, index: pass.integers(index) };
  }
}
