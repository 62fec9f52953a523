import type { Sequences } from "../../core/backend.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { Run } from "../../core/run.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import { BartAttention } from "./attention.ts";
import type { BartConfig } from "./config.ts";
import { BartEmbeddings } from "./embeddings.ts";
import { BartFeedForward } from "./feed-forward.ts";

class BartEncoderLayer {
  readonly #attention: BartAttention;
  readonly #feedForward: BartFeedForward;

  constructor(scope: ModuleScope, config: BartConfig) {
    this.#attention = new BartAttention(scope, "self_attn", config, config.encoder);
    this.#feedForward = new BartFeedForward(scope, config, config.encoder);
  }

  forward(run: Run, x: Tensor, rows: Sequences): Tensor {
    const self = this.#attention.attended(run, x, rows);
    const attended = this.#attention.forward(run, x, rows, self, { causal: false });
    return this.#feedForward.forward(run, attended);
  }
}

/** Source tokens to hidden states. */
export class BartEncoder {
  readonly #embeddings: BartEmbeddings;
  readonly #layers: readonly BartEncoderLayer[];

  constructor(scope: ModuleScope, words: Parameter, config: BartConfig) {
    this.#embeddings = new BartEmbeddings(scope, words, config);
    this.#layers = Array.from(
      { length: config.encoder.layers },
      (_, i) => new BartEncoderLayer(scope.child(`layers.${i}`), config),
    );
  }

  /** Returns [N, C]. */
  forward(run: Run, source: TokenBatch, rows: Sequences): Tensor {
    let hidden = run.scope(() => this.#embeddings.forward(run, source));
    run.observe("encoder_hidden.0", hidden);
    this.#layers.forEach((layer, i) => {
      const input = hidden;
      const reads = [input.buffer, rows.offsets];
      hidden = run.checkpoint(reads, () => layer.forward(run, input, rows));
      run.tape.drop(input.buffer); // evaluation needs one layer's output at a time
      run.observe(`encoder_hidden.${i + 1}`, hidden);
    });
    return hidden;
  }
}
