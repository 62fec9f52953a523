import type { BartConfig } from "../../models/bart/config.ts";
import type { DebertaConfig } from "../../models/deberta/config.ts";
import { bucketOf } from "../../models/deberta/relative-positions.ts";

/**
 * Multiplications and additions that a DeBERTa batch needs: every sequence at its own length, with
 * position terms over the buckets that it can reach. Backward adds dX of frozen matrices, which
 * costs as much as forward, twice the attention products, and dX and dW of adapters. Query, key and
 * value of layer 0 need no dX. The last layer counts in full, as other engines compute it; a
 * classifier of this program computes it for first tokens only, so that up to a twelfth of the
 * count is not done.
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
 * The same for a training step of BART. A decoder row attends to the target's rows up to its own,
 * which halves those products, and to its whole source. The language-model head is frozen. Every
 * matrix of both kinds of attention and of the feed-forward block has an adapter of rank `rank`.
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
 * The same for generating `tokens` tokens per source by beam search with a key and value cache:
 * each token passes the decoder once, attends to earlier tokens and its source, and is scored over
 * the vocabulary. The first token has one beam.
 */
export function generationFlops(
  sources: readonly number[],
  config: BartConfig,
  { beams, tokens }: { beams: number; tokens: number },
): number {
  const { hiddenSize: d, encoder, decoder, vocabSize } = config;
  const S = sum(sources);
  const encoding =
    encoder.layers * 2 * S * (4 * d * d + 2 * d * encoder.ffnSize) +
    encoder.layers * 4 * d * sum(sources.map((s) => s * s)) +
    decoder.layers * 2 * S * 2 * d * d;
  const linear = decoder.layers * 2 * (6 * d * d + 2 * d * decoder.ffnSize) + 2 * d * vocabSize;
  const rows = Array.from({ length: tokens }, (_, i) => (i === 0 ? 1 : beams));
  const decoding = sources.map((s) =>
    sum(rows.map((n, i) => n * (linear + decoder.layers * 4 * d * (i + 1 + s)))),
  );
  return encoding + sum(decoding);
}

// --- internal ---

const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);

/** Number of distinct position buckets within n tokens. */
function reachableBuckets(n: number, config: DebertaConfig): number {
  const seen = new Set(Array.from({ length: n }, (_, offset) => bucketOf(offset, config)));
  return 2 * seen.size - 1;
}
