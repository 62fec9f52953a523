import {
  type AttendedRows,
  type Buffer,
  type DecodeStep,
  type ForwardPass,
  type KeyValueCache,
  type ModuleScope,
  type nn,
  type Parameter,
  type Sequences,
  type Tensor,
  type TokenBatch,
} from "../../core/kit/kit.ts";
import { bartAttention, bartEmbeddings, bartMlp } from "./blocks.ts";
import type { BartConfig } from "./config.ts";

/** Self-attention, cross-attention and the feed-forward block, each with residual and LayerNorm. */
class BartDecoderLayer {
  readonly #self: ReturnType<typeof bartAttention>;
  readonly #cross: ReturnType<typeof bartAttention>;
  readonly #feedForward: ReturnType<typeof bartMlp>;
  readonly #dropout: number;

  constructor(scope: ModuleScope, config: BartConfig) {
    this.#self = bartAttention(scope, "self_attn", config, config.decoder);
    this.#cross = bartAttention(scope, "encoder_attn", config, config.decoder);
    this.#feedForward = bartMlp(scope, config, config.decoder);
    this.#dropout = config.dropout.hidden;
  }

  sourceRows(pass: ForwardPass, source: Tensor, rows: Sequences): AttendedRows {
    return this.#cross.attention.attended(pass, source, rows);
  }

  forward(pass: ForwardPass, x: Tensor, rows: Sequences, source: AttendedRows): Tensor {
    const { attention, attentionNorm } = this.#self;
    const attended = attention.attendSelf(pass, x, rows, { causal: true });
    return this.#readSource(
      pass,
      attentionNorm.add(pass, attended, x, this.#dropout),
      rows,
      source,
    );
  }

  /** As `forward`, for the newest token of each hypothesis; earlier ones are in `tokens.cache`. */
  decodeStep(
    pass: ForwardPass,
    x: Tensor,
    hypotheses: Sequences,
    source: AttendedRows,
    tokens: CachedTokens,
  ): Tensor {
    const { attention, attentionNorm } = this.#self;
    const { cache, layer, index } = tokens;
    const own = attention.attended(pass, x, hypotheses);
    cache.write(layer, own.k.buffer, own.v.buffer);
    const chosen = { ...cache.layer(layer), index };
    const attended = attention.attendChosen(pass, x, chosen, cache.length);
    const added = attentionNorm.add(pass, attended, x, this.#dropout);
    return this.#readSource(pass, added, hypotheses, source);
  }

  /** Cross-attention and the feed-forward block. */
  #readSource(pass: ForwardPass, x: Tensor, rows: Sequences, source: AttendedRows): Tensor {
    const { attention, attentionNorm } = this.#cross;
    const { mlp, mlpNorm } = this.#feedForward;
    const attended = attention.attend(pass, x, rows, source);
    const added = attentionNorm.add(pass, attended, x, this.#dropout);
    return mlpNorm.add(pass, mlp.forward(pass, added), added, this.#dropout);
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
  readonly #embeddings: nn.Embeddings;
  readonly #layers: readonly BartDecoderLayer[];

  constructor(scope: ModuleScope, words: Parameter, config: BartConfig) {
    this.#embeddings = bartEmbeddings(scope, words, config);
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
