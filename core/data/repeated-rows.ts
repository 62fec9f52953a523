/** A usable row of a split. */
export interface ReadRow {
  /** Its texts: one, or a pair. */
  readonly texts: readonly string[];
  /** The class, score, answers or summary; undefined without a label. */
  readonly label: string | undefined;
  readonly location: () => string;
}

/** Rows with the same texts. */
export interface RepeatedRow {
  readonly locations: readonly string[];
  /** Whether their labels differ: at least one of them must be wrong. */
  readonly hasOtherLabel: boolean;
}

/** The texts that stand in a split more than once. */
export function duplicatesIn(rows: readonly ReadRow[]): RepeatedRow[] {
  return [...rowsByTexts(rows).values()]
    .filter((group) => group.length > 1)
    .map((group) => repeated(group));
}

/** The texts that stand in both splits; a location of each. */
export function sharedRows(first: readonly ReadRow[], second: readonly ReadRow[]): RepeatedRow[] {
  const known = rowsByTexts(first);
  return [...rowsByTexts(second)].flatMap(([texts, [row]]) => {
    const other = known.get(texts)?.[0];
    return other && row ? [repeated([other, row])] : [];
  });
}

// --- internal ---

function rowsByTexts(rows: readonly ReadRow[]): Map<string, ReadRow[]> {
  const groups = new Map<string, ReadRow[]>();
  for (const row of rows) {
    const key = row.texts.map((text) => text.trim()).join("\0");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
}

const repeated = (group: readonly ReadRow[]): RepeatedRow => ({
  locations: group.map(({ location }) => location()),
  hasOtherLabel: new Set(group.map(({ label }) => label)).size > 1,
});
