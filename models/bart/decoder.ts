import type { Sequences } from "../../core/backend.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { AttendedRows } from "../../core/plugin.ts";
import type { Run } from "../../core/run.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import { BartAttention } from "./attention.ts";
import type { BartConfig } from "./config.ts";
import { BartEmbeddings } from "./embeddings.ts";
import { BartFeedForward } from "./feed-forward.ts";

class BartDecoderLayer {
  readonly #self: BartAttention;
  readonly #cross: BartAttention;
  readonly #feedForward: BartFeedForward;

  constructor(scope: ModuleScope, config: BartConfig) {
    this.#self = new BartAttention(scope, "self_attn", config, config.decoder);
    this.#cross = new BartAttention(scope, "encoder_attn", config, config.decoder);
    this.#feedForward = new BartFeedForward(scope, config, config.decoder);
  }

  sourceRows(run: Run, source: Tensor, rows: Sequences): AttendedRows {
    return this.#cross.attended(run, source, rows);
  }

  forward(run: Run, x: Tensor, rows: Sequences, source: AttendedRows): Tensor {
    const own = this.#self.attended(run, x, rows);
    const told = this.#self.forward(run, x, rows, own, { causal: true });
    const informed = this.#cross.forward(run, told, rows, source, { causal: false });
    return this.#feedForward.forward(run, informed);
  }
}

/**
 * Target tokens to hidden states, each of them knowing the source and the tokens before it.
 *
 * Writing one token after another needs nothing new for a start: `sourceRows` once, then `forward` over what has been written so far.
 * To keep earlier tokens' keys and values instead, a step hands a layer's self-attention `AttendedRows` of all tokens (the kept ones
 * and `attended` of the new) and the new tokens alone as queries: causal attention lets the last query see the last key. Several
 * beams of one source share its rows if they are the queries of one sequence of the cross-attention.
 */
export class BartDecoder {
  readonly #embeddings: BartEmbeddings;
  readonly #layers: readonly BartDecoderLayer[];

  constructor(scope: ModuleScope, words: Parameter, config: BartConfig) {
    this.#embeddings = new BartEmbeddings(scope, words, config);
    this.#layers = Array.from(
      { length: config.decoder.layers },
      (_, i) => new BartDecoderLayer(scope.child(`layers.${i}`), config),
    );
  }

  /** The encoder's output, [M, C], as each layer attends to it. */
  sourceRows(run: Run, source: Tensor, rows: Sequences): readonly AttendedRows[] {
    return this.#layers.map((layer) => layer.sourceRows(run, source, rows));
  }

  /** `source`: for each layer. Returns [N, C]. */
  forward(run: Run, target: TokenBatch, rows: Sequences, source: readonly AttendedRows[]): Tensor {
    let hidden = run.scope(() => this.#embeddings.forward(run, target));
    run.observe("decoder_hidden.0", hidden);
    this.#layers.forEach((layer, i) => {
      const [input, own] = [hidden, source[i]];
      if (!own) throw new Error(`internal: decoder layer ${i} has no source`);
      const reads = [input, own.k, own.v].map(({ buffer }) => buffer);
      const packing = [rows.offsets, own.rows.offsets];
      hidden = run.checkpoint([...reads, ...packing], () => layer.forward(run, input, rows, own));
      run.tape.drop(input.buffer); // evaluation needs one layer's output at a time
      run.observe(`decoder_hidden.${i + 1}`, hidden);
    });
    return hidden;
  }
}
