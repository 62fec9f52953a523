type Tokens = readonly string[];

/** Length of the longest common subsequence. */
export function commonLength(a: Tokens, b: Tokens): number {
  return lengths(a, b).at(-1) ?? 0;
}

/**
 * Positions in `a` of a longest common subsequence, in descending order. Of several it picks the
 * one that `rouge_score` picks: backtracking moves back in `b` only if that keeps a longer
 * subsequence.
 */
export function commonPositions(a: Tokens, b: Tokens): number[] {
  const table = lengths(a, b);
  const width = b.length + 1;
  const positions: number[] = [];
  let i = a.length;
  let j = b.length;
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      positions.push(i - 1);
      i--;
      j--;
    } else if (table[i * width + j - 1]! > table[(i - 1) * width + j]!) j--;
    else i--;
  }
  return positions;
}

// --- internal ---

/** Table [a + 1, b + 1]: the length for the first i tokens of `a` and the first j of `b`. */
function lengths(a: Tokens, b: Tokens): Uint32Array {
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      table[i * width + j] =
        a[i - 1] === b[j - 1]
          ? table[(i - 1) * width + j - 1]! + 1
          : Math.max(table[(i - 1) * width + j]!, table[i * width + j - 1]!);
    }
  }
  return table;
}
