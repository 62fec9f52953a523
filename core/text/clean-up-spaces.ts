/** In transformers' order: each works on the result of the one before. */
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

/** Removes the spaces before punctuation and English contractions, as transformers' `clean_up_tokenization`. */
export function cleanUpSpaces(text: string): string {
  let clean = text;
  for (const [from, to] of replacements) clean = clean.replaceAll(from, to);
  return clean;
}
