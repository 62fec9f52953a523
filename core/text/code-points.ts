/**
 * A text indexed by Unicode code points, the unit of tokenizers and of SQuAD; JavaScript strings
 * are indexed by UTF-16 units.
 */
export interface CodePoints {
  readonly length: number;
  /** The text from code point `start` to before `end`, both clamped to the text's length. */
  slice(start: number, end: number): string;
  /** The index of the code point that contains the UTF-16 unit `unit`. */
  indexOfUnit(unit: number): number;
}

/**
 * Indexes a text by code points. Free when every code point is one UTF-16 unit, as in most texts.
 */
export function codePoints(text: string): CodePoints {
  if (!/[\ud800-\udfff]/.test(text)) {
    return {
      length: text.length,
      slice: (start, end) => text.slice(start, end),
      indexOfUnit: (unit) => unit,
    };
  }
  const units = unitOffsets(text);
  const length = units.length - 1;
  const unitAt = (index: number) => units[Math.min(index, length)];
  return {
    length,
    slice: (start, end) => text.slice(unitAt(start), unitAt(end)),
    indexOfUnit: (unit) => {
      const next = units.findIndex((first) => first > unit);
      return next === -1 ? length : next - 1;
    },
  };
}

/** The UTF-16 offset of each code point, followed by the text's length. */
function unitOffsets(text: string): readonly number[] {
  const units: number[] = [];
  let at = 0;
  for (const char of text) {
    units.push(at);
    at += char.length;
  }
  units.push(at);
  return units;
}
