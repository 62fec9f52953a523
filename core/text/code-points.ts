/** A text by its Unicode code points, the unit of tokenizers and of SQuAD; strings count UTF-16 units. */
export interface CodePoints {
  readonly length: number;
  /** The text from code point `start` to before `end`; both are cut to the text's end. */
  slice(start: number, end: number): string;
  /** The code point that the UTF-16 unit `unit` belongs to. */
  indexOfUnit(unit: number): number;
}

/** Views a text by its code points. Costs nothing where every one is a single unit, as in most texts. */
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

/** The unit at which each code point begins, and the text's length. */
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
