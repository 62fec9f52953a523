import type { ModuleScope } from "../../core/nn/module-scope.ts";
import { type TokenBatch, uploadPacking } from "../../core/nn/packed-batch.ts";
import { type PaddedQueries, paddingRows } from "../../core/ops/padding-rows.ts";
import { appendZeroRows } from "../../core/ops/append-zero-rows.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { DebertaConfig } from "./config.ts";
import { DebertaEmbeddings } from "./embeddings.ts";
import { DebertaEncoder } from "./encoder.ts";

/** Embeddings and encoder; the checkpoint's prefix is "deberta.". */
export class DebertaBackbone {
  readonly #embeddings: DebertaEmbeddings;
  readonly #encoder: DebertaEncoder;

  constructor(scope: ModuleScope, config: DebertaConfig) {
    const backbone = scope.child("deberta");
    this.#embeddings = new DebertaEmbeddings(backbone.child("embeddings"), config);
    this.#encoder = new DebertaEncoder(backbone.child("encoder"), config);
  }

  /** Returns [N, C], followed by padding rows if the batch counts its padding (`PaddingRows`). */
  forward(pass: ForwardPass, batch: TokenBatch, queries: PaddedQueries): Tensor {
    const packing = uploadPacking(pass, batch);
    const padding = batch.padding && paddingRows(pass, batch, batch.padding, queries);
    const x = pass.scope(() => {
      const embedded = this.#embeddings.forward(pass, batch);
      return padding ? appendZeroRows(pass, { x: embedded }, { rows: padding.count }) : embedded;
    });
    pass.observe("hidden.0", x);
    return this.#encoder.forward(pass, x, batch, packing, padding);
  }

  /** The hidden states of each sequence's first token only: [B, C]. */
  firstRows(pass: ForwardPass, batch: TokenBatch): Tensor {
    const packing = uploadPacking(pass, batch);
    const x = pass.scope(() => this.#embeddings.forward(pass, batch));
    pass.observe("hidden.0", x);
    return this.#encoder.firstRows(pass, x, batch, packing);
  }
}
