/** A made-up sequence with labels for every task. */
export interface Example {
  readonly ids: readonly number[];
  /** [T]: positions before padding was dropped; a mask with holes leaves some out. */
  readonly positions: readonly number[];
  /** [T], if the model has segments. */
  readonly typeIds: readonly number[];
  /** A class or score. */
  readonly label: number;
  /** Positions of an answer. */
  readonly start: number;
  readonly end: number;
  /** Tokens of a target text. */
  readonly target: readonly number[];
}

/**
 * Different lengths, of which some exceed the reach of a shrunken window and one is a single row.
 */
const lengths = [11, 4, 7, 1];

/** Sequences for a vocabulary; `segments`: how many the model has, 0 for none. */
export function examplesFor(vocabSize: number, segments: number): readonly Example[] {
  return lengths.map((length, row) => {
    const ids = Array.from({ length }, (_, i) => tokenAt(vocabSize, row, i));
    return {
      ids,
      positions: ids.map((_, i) => i),
      typeIds: ids.map((_, i) => (segments > 1 && i > length / 2 ? 1 : 0)),
      label: row % 2,
      start: Math.floor(length / 3),
      end: Math.floor(length / 2),
      target: Array.from({ length: 1 + ((2 * row) % 5) }, (_, i) => tokenAt(vocabSize, row + 9, i)),
    };
  });
}

/** A sequence of `length` tokens and a target as long, all of one id. */
export function longExample(length: number, id: number): Example {
  const ids = Array.from({ length }, () => id);
  const positions = ids.map((_, i) => i);
  const typeIds = ids.map(() => 0);
  return { ids, positions, typeIds, label: 0, start: 0, end: 0, target: ids.slice(1) };
}

/** The same with a hole of two positions before its last tokens, as a mask with holes leaves it. */
export function withHole(example: Example): Example {
  const from = Math.ceil(example.ids.length / 2);
  const positions = example.positions.map((position, i) => (i < from ? position : position + 2));
  return { ...example, positions };
}

/** The same with the tokens between the first and the last in reverse order. */
export function reordered(example: Example): Example {
  const { ids } = example;
  return {
    ...example,
    ids: [...ids.slice(0, 1), ...ids.slice(1, -1).toReversed(), ...ids.slice(-1)],
  };
}

/** A token id above those that are usually special, without a visible pattern. */
function tokenAt(vocabSize: number, row: number, i: number): number {
  const special = Math.min(8, Math.floor(vocabSize / 2));
  const span = Math.max(1, vocabSize - 2 * special);
  return special + ((31 * row + 17 * i + 7 * i * i) % span);
}
