import type { ValidationFeatures } from "./features.ts";

/** A part of a context with its score: the sum of its first token's start and its last token's end logit, in f32. */
export interface Span {
  /** In code points of the context; [0, 0] says that there is no answer. */
  readonly offsets: readonly [start: number, end: number];
  readonly score: number;
  readonly startLogit: number;
  readonly endLogit: number;
}

/** Logits of each of F windows, a row as long as the window; what is behind its tokens is outside the context. */
export type LogitRows = readonly Float32Array[];

export interface SpanLimits {
  /** Start and end logits that are combined: the largest of each. */
  readonly nBest: number;
  /** Tokens of an answer. */
  readonly maxAnswerLength: number;
}

/** The spans of window f that its largest start and end logits make, in the order of the starts, then of the ends. */
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

/** What window f says to "there is no answer": the logits of its CLS token. */
export function nullSpan(start: Float32Array, end: Float32Array): Span {
  return { offsets: [0, 0], ...scored(start[0] ?? 0, end[0] ?? 0) };
}

function scored(startLogit: number, endLogit: number) {
  return { score: Math.fround(startLogit + endLogit), startLogit, endLogit };
}

/** The positions of the `count` largest values, the largest first; of equal ones the later comes first. */
function largest(values: Float32Array, count: number): number[] {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  order.sort((a, b) => values[b]! - values[a]! || b - a);
  return Array.from(order.subarray(0, count));
}
