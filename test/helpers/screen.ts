// oxlint-disable no-control-regex -- what a terminal obeys
const PARTS = /\x1b\[[\d;]*[A-Za-z]|[^]/gu;
const SEQUENCE = /^\x1b\[(.*)(.)$/;

/**
 * The lines that a terminal shows after a text, without what has been erased: understands line
 * ends, \r, ESC[nA (up), ESC[2K (clear the line) and ESC[J (clear to the end); drops colours.
 */
export function screenOf(text: string, columns: number): readonly string[] {
  const lines: string[][] = [[]];
  let [row, column] = [0, 0];
  const line = () => (lines[row] ??= []);
  for (const part of text.match(PARTS) ?? []) {
    const [, count = "", command] = SEQUENCE.exec(part) ?? [];
    if (part === "\n") [row, column] = [row + 1, 0];
    else if (part === "\r") column = 0;
    else if (command === "A") row = Math.max(0, row - Number(count || 1));
    else if (command === "K") lines[row] = [];
    else if (command === "J") {
      line().length = column;
      lines.length = row + 1;
    } else if (command === undefined) {
      if (column === columns) [row, column] = [row + 1, 0];
      line()[column++] = part;
    }
  }
  line();
  return Array.from(lines, (cells) => Array.from(cells ?? [], (cell) => cell ?? " ").join(""));
}
