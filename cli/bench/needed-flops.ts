import type { BartConfig } from "../../models/bart/config.ts";
import type { DebertaConfig } from "../../models/deberta/config.ts";
import { bucketOf } from "../../models/deberta/relative-positions.ts";

/**
 * Multiplications and additions that a DeBERTa batch needs, every sequence at its own length and position terms over the buckets
 * that it can reach. Backward: dX of frozen matrices costs what forward did, attention products twice that, adapters dX and dW.
 * Layer 0's query, key and value need no dX. The last layer counts whole, as in other engines: a classifier of this program computes it
 * for first tokens alone, so that its share of the bound holds up to a twelfth of work that is not done.
 */
export function debertaFlops(
  lengths: readonly number[],
  config: DebertaConfig,
  { rank, training }: { rank: number; training: boolean },
): number {
  const { hiddenSize: d, ffnSize: f, layers } = config;
  const tokens = sum(lengths);
  const spans = lengths.map((n) => reachableBuckets(n, config));
  const table = Math.max(...spans);
  const linear = 2 * tokens * (4 * d * d + 2 * d * f);
  const attention = sum(lengths.map((n) => 4 * n * n * d));
  const position = sum(lengths.map((n, i) => 4 * n * spans[i]! * d));
  const project = 4 * table * d * d;
  if (!training) return layers * (linear + attention + position + project);
  const adapters = 2 * rank * ((8 * d + 2 * (d + f)) * tokens + 4 * d * table);
  const skipped = 2 * tokens * 3 * d * d;
  return layers * (2 * linear + 3 * (attention + position) + project + 3 * adapters) - skipped;
}

/**
 * The same for a step of training BART: a decoder's row sees the target's rows up to its own, which halves those products, and all
 * of its source. The language model head is frozen. Rank r of every matrix: queries, keys, values and outputs of both kinds of
 * attention, and the feed-forward block.
 */
export function bartFlops(
  sources: readonly number[],
  targets: readonly number[],
  config: BartConfig,
  { rank }: { rank: number },
): number {
  const { hiddenSize: d, encoder, decoder, vocabSize } = config;
  const [S, T] = [sum(sources), sum(targets)];
  const encoderLinear = encoder.layers * 2 * S * (4 * d * d + 2 * d * encoder.ffnSize);
  const crossKeys = decoder.layers * 2 * S * 2 * d * d;
  const decoderLinear = decoder.layers * 2 * T * (6 * d * d + 2 * d * decoder.ffnSize);
  const attention =
    4 *
    d *
    sum(
      sources.map((s, b) => {
        const t = targets[b] ?? 0;
        return encoder.layers * s * s + decoder.layers * (0.5 * t * t + s * t);
      }),
    );
  const widths = {
    encoder: 8 * d + 2 * (d + encoder.ffnSize),
    decoder: 12 * d + 2 * (d + decoder.ffnSize),
  };
  const adapters =
    2 *
    rank *
    (encoder.layers * widths.encoder * S + decoder.layers * (4 * d * S + widths.decoder * T));
  const skipped = 2 * 3 * d * d * (S + T);
  return (
    2 * (encoderLinear + crossKeys + decoderLinear) -
    skipped +
    3 * attention +
    4 * T * d * vocabSize +
    3 * adapters
  );
}

/**
 * Of writing a text of `tokens` about each source with some beams, where keys and values are kept: each token passes the decoder
 * once, sees those before it and its source, and is scored over the vocabulary. The first token has one beam.
 */
export function generationFlops(
  sources: readonly number[],
  config: BartConfig,
  { beams, tokens }: { beams: number; tokens: number },
): number {
  const { hiddenSize: d, encoder, decoder, vocabSize } = config;
  const S = sum(sources);
  const read =
    encoder.layers * 2 * S * (4 * d * d + 2 * d * encoder.ffnSize) +
    encoder.layers * 4 * d * sum(sources.map((s) => s * s)) +
    decoder.layers * 2 * S * 2 * d * d;
  const linear = decoder.layers * 2 * (6 * d * d + 2 * d * decoder.ffnSize) + 2 * d * vocabSize;
  const rows = Array.from({ length: tokens }, (_, i) => (i === 0 ? 1 : beams));
  const written = sources.map((s) =>
    sum(rows.map((n, i) => n * (linear + decoder.layers * 4 * d * (i + 1 + s)))),
  );
  return read + sum(written);
}

// --- internal ---

const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);

/** Distinct relative positions, as the model buckets them, within n tokens. */
function reachableBuckets(n: number, config: DebertaConfig): number {
  const seen = new Set(Array.from({ length: n }, (_, offset) => bucketOf(offset, config)));
  return 2 * seen.size - 1;
}
