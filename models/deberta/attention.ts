import type { Buffer } from "../../core/backend.ts";
import type { Packing } from "../../core/kernels/attention.ts";
import type { Linear } from "../../core/nn/linear.ts";
import type { LayerNorm } from "../../core/nn/norms.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { PaddingRows } from "../../core/ops/padding-rows.ts";
import { addLayerNorm } from "../../core/ops/add-layer-norm.ts";
import { disentangledAttention } from "../../core/ops/disentangled-attention.ts";
import { dropout } from "../../core/ops/dropout.ts";
import { gatherRows } from "../../core/ops/gather-rows.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { DebertaConfig } from "./config.ts";

/** The relative embeddings within reach of a batch, [S, C], and the row of each offset (i32). */
export interface RelativeTable {
  readonly embeddings: Tensor;
  readonly index: Buffer;
}

/** The geometry of a batch, shared by all layers. */
export interface BatchGeometry {
  readonly packing: Packing;
  readonly relative: RelativeTable | undefined;
  readonly padding: PaddingRows | undefined;
}

/** Disentangled self-attention with its output projection, residual and LayerNorm. */
export class DebertaAttention {
  readonly #config: DebertaConfig;
  readonly #query: Linear;
  readonly #key: Linear;
  readonly #value: Linear;
  readonly #posKey: Linear | undefined;
  readonly #posQuery: Linear | undefined;
  readonly #output: Linear;
  readonly #norm: LayerNorm;

  constructor(scope: ModuleScope, config: DebertaConfig) {
    const { hiddenSize, heads, headDim, initializerRange: std } = config;
    const width = heads * headDim;
    const self = scope.child("self");
    const project = (name: string) => self.linear(name, hiddenSize, width, std);
    this.#config = config;
    this.#query = project("query_proj");
    this.#key = project("key_proj");
    this.#value = project("value_proj");
    const own = config.relativeAttention && !config.shareAttKey;
    const [c2p, p2c] = [config.posAttType.includes("c2p"), config.posAttType.includes("p2c")];
    const position = (wanted: boolean, shared: Linear, name: string) =>
      wanted && config.relativeAttention ? (own ? project(name) : shared) : undefined;
    this.#posKey = position(c2p, this.#key, "pos_key_proj");
    this.#posQuery = position(p2c, this.#query, "pos_query_proj");
    const output = scope.child("output");
    this.#output = output.linear("dense", width, hiddenSize, std);
    this.#norm = output.layerNorm("LayerNorm", hiddenSize, config.layerNormEps);
  }

  /**
   * x: [N, C]; returns [N, C]. With `firstTokens`, i32 [B], the rows of each sequence's first
   * token, returns only those: [B, C].
   */
  forward(pass: ForwardPass, x: Tensor, geometry: BatchGeometry, firstTokens?: Buffer): Tensor {
    const { packing, relative, padding } = geometry;
    const { heads, headDim, posAttType, dropout: p } = this.#config;
    const queryInput = firstTokens ? gatherRows(pass, { table: x }, { ids: firstTokens }) : x;
    const q = this.#query.forward(pass, queryInput);
    const k = this.#key.forward(pass, x);
    const v = this.#value.forward(pass, x);
    const table = relative && this.#dropPositions(pass, relative.embeddings);
    const shape = {
      packing,
      queries: firstTokens ? ("first" as const) : ("all" as const),
      heads,
      headDim,
      // transformers rounds this square root to single precision, whatever the dtype
      scale: Math.fround(Math.sqrt(headDim * (1 + posAttType.length))),
      relative: relative?.index,
      relativeRows: relative?.embeddings.shape[0] ?? 0,
      dropout: pass.nextDropout(p.attention),
    };
    const posKey = table && this.#posKey?.forward(pass, table);
    const posQuery = table && this.#posQuery?.forward(pass, table);
    const context = disentangledAttention(pass, { q, k, v, posKey, posQuery }, { shape, padding });
    const { weight, bias, eps } = this.#norm;
    const out = this.#output.forward(pass, context);
    return addLayerNorm(
      pass,
      { x: out, residual: queryInput, weight, bias },
      { eps, dropout: pass.nextDropout(p.hidden) },
    );
  }

  #dropPositions(pass: ForwardPass, embeddings: Tensor): Tensor {
    const mask = pass.nextDropout(this.#config.dropout.hidden);
    return mask ? dropout(pass, { x: embeddings }, { dropout: mask }) : embeddings;
  }
}
