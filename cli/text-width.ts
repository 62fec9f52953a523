const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The start of a text that fits `width` columns of a terminal; a Chinese character takes two. */
export function cutToWidth(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text;
  let [cut, columns] = ["", 0];
  for (const { segment } of graphemes.segment(text)) {
    columns += Bun.stringWidth(segment);
    if (columns > width) break;
    cut += segment;
  }
  return cut;
}

/** A text with spaces after it, so that it takes `width` columns of a terminal. */
export const padToWidth = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - Bun.stringWidth(text)));
