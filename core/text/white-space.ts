/**
 * Whether a UTF-16 unit is white space for Python's `str`: U+001C to U+001F and U+0085 are, U+FEFF
 * is not; JavaScript's `\s` and `trim` treat them the other way round.
 */
export function isWhiteSpace(unit: number): boolean {
  if (unit <= 0xa0) {
    return (
      unit === 0x20 ||
      (unit >= 0x09 && unit <= 0x0d) ||
      (unit >= 0x1c && unit <= 0x1f) ||
      unit === 0x85 ||
      unit === 0xa0
    );
  }
  return (
    unit === 0x1680 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  );
}

/** Splits a text at white space, like Python's `split()`: no part is empty. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let start = 0;
  for (let at = 0; at <= text.length; at++) {
    if (at < text.length && !isWhiteSpace(text.charCodeAt(at))) continue;
    if (at > start) words.push(text.slice(start, at));
    start = at + 1;
  }
  return words;
}

/** Removes leading white space, like Python's `lstrip()`. */
export function stripStart(text: string): string {
  let start = 0;
  while (start < text.length && isWhiteSpace(text.charCodeAt(start))) start++;
  return text.slice(start);
}

/** Removes leading and trailing white space, like Python's `strip()`. */
export function strip(text: string): string {
  let end = text.length;
  while (end > 0 && isWhiteSpace(text.charCodeAt(end - 1))) end--;
  return stripStart(text.slice(0, end));
}
