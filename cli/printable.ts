/**
 * Characters that a terminal obeys instead of showing: C0 and C1 controls, DEL, line separators,
 * and the marks that reorder text.
 */
const CONTROLS =
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Makes text from a file, a name or a server safe to print in one line: controls become `\n`,
 * `\x1b` or `\u202e`. JSON stays valid and keeps its value, as it has no raw C0 control.
 */
export const printable = (text: string): string =>
  text.replaceAll(CONTROLS, (control) => SHORT[control] ?? escaped(control)).toWellFormed();

/** Makes the lines of a text printable; keeps line ends and, with `colours`, those of `paint`. */
export function printableLines(text: string, colours = false): string {
  // oxlint-disable-next-line no-control-regex -- what `paint` adds
  const kept = colours ? /(\n|\x1b\[(?:0|1|2|31|33)m)/ : /(\n)/;
  return text
    .split(kept)
    .map((part, i) => (i % 2 === 1 ? part : printable(part)))
    .join("");
}

/** Longest message in characters: a page of a terminal. */
const LONGEST = 1000;

/** Leaves out the middle of a very long message, such as one that quotes a damaged file. */
export function shortened(text: string): string {
  const excess = text.length - LONGEST;
  if (excess <= 0) return text;
  const end = LONGEST / 4;
  const marked = ` … (${excess} characters left out) … `;
  return `${text.slice(0, LONGEST - end)}${marked}${text.slice(-end)}`.toWellFormed();
}

// --- internal ---

function escaped(control: string): string {
  const code = control.charCodeAt(0);
  return code < 0x20
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}
