import type { ModuleScope } from "../../core/nn/module-scope.ts";
import { type TokenBatch, uploadPacking } from "../../core/nn/packed-batch.ts";
import { type PaddedQueries, paddingRows } from "../../core/nn/padding-rows.ts";
import { appendZeroRows } from "../../core/ops/append-zero-rows.ts";
import type { Run } from "../../core/run.ts";
import type { Tensor } from "../../core/tensor.ts";
import type { DebertaConfig } from "./config.ts";
import { DebertaEmbeddings } from "./embeddings.ts";
import { DebertaEncoder } from "./encoder.ts";

/** Embeddings and encoder, under "deberta." in checkpoints. */
export class DebertaBackbone {
  readonly #embeddings: DebertaEmbeddings;
  readonly #encoder: DebertaEncoder;

  constructor(scope: ModuleScope, config: DebertaConfig) {
    const backbone = scope.child("deberta");
    this.#embeddings = new DebertaEmbeddings(backbone.child("embeddings"), config);
    this.#encoder = new DebertaEncoder(backbone.child("encoder"), config);
  }

  /** Returns [N, C]; where the batch counts its padding, a row for each padded sequence follows (see `PaddingRows`). */
  forward(run: Run, batch: TokenBatch, queries: PaddedQueries): Tensor {
    const packing = uploadPacking(run, batch);
    const padding = batch.padding && paddingRows(run, batch, batch.padding, queries);
    const x = run.scope(() => {
      const embedded = this.#embeddings.forward(run, batch);
      return padding ? appendZeroRows(run, [embedded], { rows: padding.count }) : embedded;
    });
    run.observe("hidden.0", x);
    return this.#encoder.forward(run, x, batch, packing, padding);
  }

  /** Of each sequence's first token alone: [B, C]. */
  firstRows(run: Run, batch: TokenBatch): Tensor {
    const packing = uploadPacking(run, batch);
    const x = run.scope(() => this.#embeddings.forward(run, batch));
    run.observe("hidden.0", x);
    return this.#encoder.firstRows(run, x, batch, packing);
  }
}
