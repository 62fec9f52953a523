/** Things that a reader found suspicious but usable, gathered by kind: a million of one kind is one line. */
export interface Warnings {
  /** `what` is kept for the first of its kind, the others are counted. */
  add(kind: string, location: string, message: string): void;
  /** One line a kind: the first place, what is wrong there, and how many more there are. */
  lines(): string[];
}

/** An empty list of warnings. */
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
