import type { Linear } from "../../core/nn/linear.ts";
import type { LayerNorm, ModuleScope } from "../../core/nn/module-scope.ts";
import { type TokenBatch, uploadPacking } from "../../core/nn/packed-batch.ts";
import { activation } from "../../core/ops/activation.ts";
import { addLayerNorm } from "../../core/ops/add-layer-norm.ts";
import { dropout } from "../../core/ops/dropout.ts";
import { gatherRows } from "../../core/ops/gather-rows.ts";
import { linear } from "../../core/ops/linear.ts";
import type { Model, TaskHead } from "../../core/plugin.ts";
import type { Run } from "../../core/run.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import type { DebertaConfig } from "./config.ts";
import { DebertaEncoder } from "./encoder.ts";

/** Word, and where the checkpoint has them position and segment embeddings, normalised. */
class DebertaEmbeddings {
  readonly #config: DebertaConfig;
  readonly #words: Parameter;
  readonly #positions: Parameter | undefined;
  readonly #types: Parameter | undefined;
  readonly #project: Parameter | undefined;
  readonly #norm: LayerNorm;

  constructor(scope: ModuleScope, config: DebertaConfig) {
    const { embeddingSize, hiddenSize, initializerRange } = config;
    const table = (name: string, rows: number, width = embeddingSize) =>
      scope.child(name).parameter("weight", [rows, width], { normal: initializerRange });
    this.#config = config;
    this.#words = table("word_embeddings", config.vocabSize);
    if (config.positionBiasedInput)
      this.#positions = table("position_embeddings", config.maxPositions);
    if (config.typeVocabSize > 0)
      this.#types = table("token_type_embeddings", config.typeVocabSize);
    if (embeddingSize !== hiddenSize) this.#project = table("embed_proj", hiddenSize);
    this.#norm = scope.layerNorm("LayerNorm", hiddenSize, config.layerNormEps);
  }

  /** Returns [N, C]. */
  forward(run: Run, batch: TokenBatch): Tensor {
    let x = gatherRows(run, [this.#words, undefined], { ids: run.integers(batch.ids) });
    if (this.#positions)
      x = gatherRows(run, [this.#positions, x], { ids: run.integers(batch.positions) });
    if (this.#types) {
      const ids = run.integers(batch.typeIds ?? new Int32Array(batch.ids.length));
      x = gatherRows(run, [this.#types, x], { ids });
    }
    if (this.#project) {
      x = linear(run, [x, this.#project, undefined, undefined, undefined, undefined], {
        scale: 1,
        dropout: undefined,
      });
    }
    const { weight, bias, eps } = this.#norm;
    const normal = addLayerNorm(run, [x, undefined, weight, bias], { eps, dropout: undefined });
    const mask = run.nextDropout(this.#config.dropout.hidden);
    return mask ? dropout(run, [normal], { dropout: mask }) : normal;
  }
}

/** The backbone under "deberta." and a head on each sequence's first token: pooler, then classifier. */
export class DebertaClassifier implements Model {
  readonly #config: DebertaConfig;
  readonly #embeddings: DebertaEmbeddings;
  readonly #encoder: DebertaEncoder;
  readonly #pooler: Linear;
  readonly #classifier: Linear;

  constructor(scope: ModuleScope, config: DebertaConfig, labels: number) {
    const { poolerSize, initializerRange: std } = config;
    const backbone = scope.child("deberta");
    this.#config = config;
    this.#embeddings = new DebertaEmbeddings(backbone.child("embeddings"), config);
    this.#encoder = new DebertaEncoder(backbone.child("encoder"), config);
    this.#pooler = scope.child("pooler").linear("dense", poolerSize, poolerSize, std);
    this.#classifier = scope.linear("classifier", poolerSize, labels, std);
  }

  forward(run: Run, batch: TokenBatch): Tensor {
    const packing = uploadPacking(run, batch);
    const x = run.scope(() => this.#embeddings.forward(run, batch));
    run.observe("hidden.0", x);
    const hidden = this.#encoder.forward(run, x, batch, packing);
    const firsts = batch.offsets.subarray(0, packing.sequences);
    const first = gatherRows(run, [hidden, undefined], { ids: run.integers(firsts) });
    const { poolerActivation: kind, dropout: p } = this.#config;
    const pooled = activation(run, [this.#pooler.forward(run, drop(run, first, p.pooler))], {
      kind,
    });
    return this.#classifier.forward(run, drop(run, pooled, p.head));
  }
}

function drop(run: Run, x: Tensor, probability: number): Tensor {
  const mask = run.nextDropout(probability);
  return mask ? dropout(run, [x], { dropout: mask }) : x;
}

export function buildDeberta(config: DebertaConfig, head: TaskHead, scope: ModuleScope): Model {
  const { hidden, attention, pooler, head: beforeHead } = config.dropout;
  const probabilities = {
    hidden: head.dropout?.hidden ?? hidden,
    attention: head.dropout?.attention ?? attention,
    pooler,
    head: head.dropout?.head ?? beforeHead,
  };
  return new DebertaClassifier(scope, { ...config, dropout: probabilities }, head.labels);
}
