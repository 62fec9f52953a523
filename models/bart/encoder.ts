import type { Sequences } from "../../core/kernels/attention.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import { BartAttention } from "./attention.ts";
import type { BartConfig } from "./config.ts";
import { BartEmbeddings } from "./embeddings.ts";
import { BartFeedForward } from "./feed-forward.ts";

/** Self-attention and the feed-forward block. */
class BartEncoderLayer {
  readonly #attention: BartAttention;
  readonly #feedForward: BartFeedForward;

  constructor(scope: ModuleScope, config: BartConfig) {
    this.#attention = new BartAttention(scope, "self_attn", config, config.encoder);
    this.#feedForward = new BartFeedForward(scope, config, config.encoder);
  }

  forward(pass: ForwardPass, x: Tensor, rows: Sequences): Tensor {
    const self = this.#attention.attended(pass, x, rows);
    const attended = this.#attention.forward(pass, x, rows, self, { causal: false });
    return this.#feedForward.forward(pass, attended);
  }
}

/** Maps source tokens to hidden states. */
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
  forward(pass: ForwardPass, source: TokenBatch, rows: Sequences): Tensor {
    let hidden = pass.scope(() => this.#embeddings.forward(pass, source));
    pass.observe("encoder_hidden.0", hidden);
    this.#layers.forEach((layer, i) => {
      const input = hidden;
      const reads = [input.buffer, rows.offsets];
      hidden = pass.checkpoint(reads, () => layer.forward(pass, input, rows));
      pass.tape.drop(input.buffer); // without a tape, only one layer's output lives at a time
      pass.observe(`encoder_hidden.${i + 1}`, hidden);
    });
    return hidden;
  }
}
