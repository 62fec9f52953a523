/** Separators of columns by the names that `--delimiter` takes. */
export const delimiters = { tab: "\t", comma: ",", semicolon: ";", pipe: "|" } as const;

/** The name of a separator of columns. */
export type DelimiterName = keyof typeof delimiters;

/** Names of all separators, for the flag. */
export const delimiterNames = ["tab", "comma", "semicolon", "pipe"] as const;

/** The separator that a header line seems to have: the most frequent one; undefined without any. */
export function delimiterIn(header: string): DelimiterName | undefined {
  const counts = delimiterNames.map(
    (name) => [name, header.split(delimiters[name]).length] as const,
  );
  const [first] = counts.toSorted(([, a], [, b]) => b - a);
  return first !== undefined && first[1] > 1 ? first[0] : undefined;
}
