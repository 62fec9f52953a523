/**
 * Suspicious but usable content that a reader found, grouped by kind: a million of one kind give
 * one line.
 */
export interface Warnings {
  /** Keeps `message` for the first of its kind and counts the rest. */
  add(kind: string, location: string, message: string): void;
  /** One line per kind: the first location, what is wrong there, and how many more there are. */
  lines(): string[];
}

/** An empty collection of warnings. */
export function createWarnings(): Warnings {
  const kinds = new Map<string, { text: string; count: number }>();
  return {
    add(kind, location, message) {
      const existing = kinds.get(kind);
      if (existing === undefined) kinds.set(kind, { text: `${location}: ${message}`, count: 1 });
      else existing.count++;
    },
    lines: () =>
      Array.from(kinds.values(), ({ text, count }) =>
        count === 1 ? text : `${text} (and ${count - 1} more like it)`,
      ),
  };
}
