/** In transformers' order: each replacement sees the result of the previous one. */
const replacements: readonly (readonly [from: string, to: string])[] = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/**
 * Removes spaces before punctuation and English contractions, like transformers'
 * `clean_up_tokenization`.
 */
export function cleanUpSpaces(text: string): string {
  let clean = text;
  for (const [from, to] of replacements) clean = clean.replaceAll(from, to);
  return clean;
}
