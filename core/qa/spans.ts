import type { ValidationFeatures } from "./features.ts";

/**
 * A span of a context. Its score is start logit of the first token + end logit of the last, in f32.
 */
export interface Span {
  /** In code points of the context; [0, 0] means "no answer". */
  readonly offsets: readonly [start: number, end: number];
  readonly score: number;
  readonly startLogit: number;
  readonly endLogit: number;
}

/**
 * Logits of F windows, one row each; positions beyond the window (padding) are never in the
 * context.
 */
export type LogitRows = readonly Float32Array[];

/** Limits of the span search. */
export interface SpanLimits {
  /** How many of the largest start logits are paired with as many end logits. */
  readonly nBest: number;
  /** Maximum tokens of an answer. */
  readonly maxAnswerLength: number;
}

/**
 * Candidate spans of window f from its largest start and end logits, ordered by start, then end
 * logit.
 */
export function spansOf(
  features: ValidationFeatures,
  f: number,
  start: Float32Array,
  end: Float32Array,
  { nBest, maxAnswerLength }: SpanLimits,
): Span[] {
  const { tokens, contextFirst, contextEnd, textStart, textEnd } = features;
  const row = tokens.offsets[f]!;
  const isContext = (position: number) => position >= contextFirst[f]! && position < contextEnd[f]!;
  const firsts = largest(start, nBest).filter(isContext);
  const lasts = largest(end, nBest).filter(isContext);
  const spans: Span[] = [];
  for (const first of firsts) {
    for (const last of lasts) {
      if (last < first || last - first + 1 > maxAnswerLength) continue;
      spans.push({
        offsets: [textStart[row + first]!, textEnd[row + last]!],
        ...scored(start[first]!, end[last]!),
      });
    }
  }
  return spans;
}

/** The "no answer" span of a window: the logits of its CLS token. */
export function nullSpan(start: Float32Array, end: Float32Array): Span {
  return { offsets: [0, 0], ...scored(start[0] ?? 0, end[0] ?? 0) };
}

// --- internal ---

function scored(startLogit: number, endLogit: number) {
  return { score: Math.fround(startLogit + endLogit), startLogit, endLogit };
}

/**
 * Positions of the `count` largest values, in descending order; of equal values the later comes
 * first.
 */
function largest(values: Float32Array, count: number): number[] {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  order.sort((a, b) => values[b]! - values[a]! || b - a);
  return Array.from(order.subarray(0, count));
}
