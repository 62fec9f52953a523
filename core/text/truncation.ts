import { errors } from "../errors.ts";

/**
 * Which text loses tokens: the longer one (of two, both end up about equal), or always the same
 * one.
 */
export type Truncation = "longest" | "first" | "second";

/** Token counts of the first and second text; 0 when there is no second text. */
export type Lengths = readonly [first: number, second: number];

/**
 * The lengths of two texts after truncation to `capacity` tokens, like the fast tokenizers: no more
 * is removed than needed; of an odd capacity the longer text gets the last token (the second one if
 * they are equal). Throws E_TOKENIZE when only one text may be truncated and nothing of it would
 * remain.
 */
export function truncate(
  [first, second]: Lengths,
  capacity: number,
  truncation: Truncation,
): Lengths {
  if (first + second <= capacity) return [first, second];
  if (capacity === 0) return [0, 0];
  if (truncation === "longest") {
    const half = Math.floor(capacity / 2);
    if (first > second) {
      const kept = Math.min(second, half);
      return [capacity - kept, kept];
    }
    const kept = Math.min(first, half);
    return [kept, capacity - kept];
  }
  const [length, other] = truncation === "first" ? [first, second] : [second, first];
  const available = capacity - other;
  if (available <= 0) {
    throw errors.tokenize(
      `the ${truncation} text is too short to be truncated enough`,
      `${length} tokens beside ${other} of the other text, ${capacity} allowed in total`,
      "raise --max-length, or shorten the other text",
    );
  }
  return truncation === "first" ? [available, other] : [other, available];
}

/**
 * The overlapping ranges `[start, end)` that cover `length` tokens, each at most `size` long and
 * starting `stride` tokens before the end of the previous one. A single range, possibly empty, when
 * everything fits. Throws E_TOKENIZE when `stride >= size`.
 */
export function windowRanges(length: number, size: number, stride: number): [number, number][] {
  if (length <= size) return [[0, length]];
  if (size > 0 && stride >= size) throw strideTooLarge(stride, size);
  if (size === 0) return [[0, 0]];
  const ranges: [number, number][] = [];
  for (let start = 0; ; start += size - stride) {
    const end = Math.min(start + size, length);
    ranges.push([start, end]);
    if (end === length) return ranges;
  }
}

/**
 * Throws E_TOKENIZE when windows can't share `stride` tokens for any text; `capacity` is what fits
 * beside the special tokens of a single text. The reference checks this even where one window
 * suffices.
 */
export function checkStride(stride: number, capacity: number): void {
  if (stride <= capacity) return;
  throw strideTooLarge(stride, capacity);
}

function strideTooLarge(stride: number, size: number) {
  return errors.tokenize(
    "the stride must be smaller than the part of the text that fits in a window",
    `stride ${stride}, ${size} tokens`,
    "lower --doc-stride, or raise --max-length",
  );
}
