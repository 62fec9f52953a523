/** Formats `{ steps: 3, model: null }` as words of a command line; null omits a flag. */
export function flagWords(flags: Readonly<Record<string, string | number | null>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) =>
    value === null ? [] : [`--${name}`, String(value)],
  );
}
