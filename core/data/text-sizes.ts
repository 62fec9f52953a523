import { lengthStats, type LengthStats } from "./length-stats.ts";

/** Sizes of texts. */
export interface TextSizes {
  /** Code points. */
  readonly characters: LengthStats;
  /** Runs of characters other than white space. */
  readonly words: LengthStats;
}

/** The sizes of some texts. */
export function textSizes(texts: readonly string[]): TextSizes {
  const characters = new Int32Array(texts.length);
  const words = new Int32Array(texts.length);
  texts.forEach((text, i) => {
    let [units, count, inWord] = [0, 0, false];
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code < 0xdc00 || code > 0xdfff) units++; // the second half of a pair is not counted
      const isSpace = code <= 0x20 || code === 0xa0 || code === 0x3000;
      if (!isSpace && !inWord) count++;
      inWord = !isSpace;
    }
    characters[i] = units;
    words[i] = count;
  });
  return { characters: lengthStats(characters), words: lengthStats(words) };
}
