import type { Buffer } from "../../core/backend.ts";
import type { Sequences } from "../../core/kernels/attention.ts";
import type { KeyValueCache } from "../../core/nn/key-value-cache.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import type { AttendedRows, DecodeStep } from "../../core/model/plugin.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { Parameter, Tensor } from "../../core/tensor.ts";
import { BartAttention } from "./attention.ts";
import type { BartConfig } from "./config.ts";
import { BartEmbeddings } from "./embeddings.ts";
import { BartFeedForward } from "./feed-forward.ts";

/** Self-attention, cross-attention and the feed-forward block. */
class BartDecoderLayer {
  readonly #self: BartAttention;
  readonly #cross: BartAttention;
  readonly #feedForward: BartFeedForward;

  constructor(scope: ModuleScope, config: BartConfig) {
    this.#self = new BartAttention(scope, "self_attn", config, config.decoder);
    this.#cross = new BartAttention(scope, "encoder_attn", config, config.decoder);
    this.#feedForward = new BartFeedForward(scope, config, config.decoder);
  }

  sourceRows(pass: ForwardPass, source: Tensor, rows: Sequences): AttendedRows {
    return this.#cross.attended(pass, source, rows);
  }

  forward(pass: ForwardPass, x: Tensor, rows: Sequences, source: AttendedRows): Tensor {
    const own = this.#self.attended(pass, x, rows);
    const selfAttended = this.#self.forward(pass, x, rows, own, { causal: true });
    const crossAttended = this.#cross.forward(pass, selfAttended, rows, source, { causal: false });
    return this.#feedForward.forward(pass, crossAttended);
  }

  /** As `forward`, for the newest token of each hypothesis; earlier ones are in `tokens.cache`. */
  decodeStep(
    pass: ForwardPass,
    x: Tensor,
    hypotheses: Sequences,
    source: AttendedRows,
    tokens: CachedTokens,
  ): Tensor {
    const { cache, layer, index } = tokens;
    const own = this.#self.attended(pass, x, hypotheses);
    cache.write(layer, own.k.buffer, own.v.buffer);
    const chosen = { ...cache.layer(layer), index };
    const selfAttended = this.#self.forwardChosen(pass, x, chosen, cache.length);
    const crossAttended = this.#cross.forward(pass, selfAttended, hypotheses, source, {
      causal: false,
    });
    return this.#feedForward.forward(pass, crossAttended);
  }
}

/** A layer's part of a cache; `index`: i32 [hypotheses, length], on the device. */
interface CachedTokens {
  readonly cache: KeyValueCache;
  readonly layer: number;
  readonly index: Buffer;
}

/** Maps target tokens to hidden states, given the source and the earlier target tokens. */
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

  /** The cross-attention keys and values of each layer. source: the encoder's output, [M, C]. */
  sourceRows(pass: ForwardPass, source: Tensor, rows: Sequences): readonly AttendedRows[] {
    return this.#layers.map((layer) => layer.sourceRows(pass, source, rows));
  }

  /** `source`: keys and values per layer. Returns [N, C]. */
  forward(
    pass: ForwardPass,
    target: TokenBatch,
    rows: Sequences,
    source: readonly AttendedRows[],
  ): Tensor {
    let hidden = pass.scope(() => this.#embeddings.forward(pass, target));
    pass.observe("decoder_hidden.0", hidden);
    this.#layers.forEach((layer, i) => {
      const [input, own] = [hidden, source[i]];
      if (!own) throw new Error(`internal: decoder layer ${i} has no source`);
      const reads = [input, own.k, own.v].map(({ buffer }) => buffer);
      const packing = [rows.offsets, own.rows.offsets];
      hidden = pass.checkpoint([...reads, ...packing], () => layer.forward(pass, input, rows, own));
      pass.tape.drop(input.buffer); // without a tape, only one layer's output lives at a time
      pass.observe(`decoder_hidden.${i + 1}`, hidden);
    });
    return hidden;
  }

  /** Hidden states of the newest token of each hypothesis: [N, C]. */
  decodeStep(
    pass: ForwardPass,
    { ids, position, hypotheses }: DecodeStep,
    source: readonly AttendedRows[],
    cache: KeyValueCache,
  ): Tensor {
    const positions = new Int32Array(ids.length).fill(position);
    const index = pass.integers(cache.index);
    let hidden = pass.scope(() => this.#embeddings.forward(pass, { ids, positions }));
    this.#layers.forEach((each, layer) => {
      const [input, own] = [hidden, source[layer]];
      if (!own) throw new Error(`internal: decoder layer ${layer} has no source`);
      hidden = pass.scope(() =>
        each.decodeStep(pass, input, hypotheses, own, { cache, layer, index }),
      );
      pass.tape.drop(input.buffer);
    });
    return hidden;
  }
}
