type Tokens = readonly string[];

/** The length of the longest common subsequence. */
export function commonLength(a: Tokens, b: Tokens): number {
  return lengths(a, b).at(-1) ?? 0;
}

/**
 * The positions in `a` of a longest common subsequence, the last first. Of several it is the one that `rouge_score`
 * finds: from the ends, it steps back in `b` only where that keeps more.
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

/** [a + 1, b + 1]: the length for the first i tokens of `a` and the first j of `b`. */
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
