import { printable } from "./printable.ts";
import type { Output } from "./terminal.ts";

/** A text as lines of at most `width` characters; a longer word has a line of its own. */
export function wrapped(text: string, width: number): string[] {
  return linesOf(text.split(" "), width);
}

/**
 * A command line as lines that can be pasted into a shell, indented by 2: each but the last ends in
 * a backslash. Texts in quotes stay whole, and a flag beside its value.
 */
export function wrappedCommand(command: string, width: number): string[] {
  const words = command.match(/(?:--[\w-]+ (?!-))?(?:"[^"]*"|'[^']*'|\S)+/g) ?? [];
  const lines = linesOf(words, width - " \\".length - "    ".length);
  return lines.map((line, i) => {
    const indent = i === 0 ? "  " : "    ";
    return indent + line + (i === lines.length - 1 ? "" : " \\");
  });
}

/**
 * A label and a printable text beside it; lines after the first are indented as far. Line ends in
 * the text are part of a name.
 */
export function labelled(label: string, text: string, { indent, width }: Layout): string {
  const [first = "", ...rest] = wrapped(printable(text), width - indent);
  return [label.padEnd(indent) + first, ...rest.map((line) => " ".repeat(indent) + line)].join(
    "\n",
  );
}

/** Width of the labels, and of the whole line. */
export interface Layout {
  readonly indent: number;
  readonly width: number;
}

/** The width that text is wrapped to: a terminal's, at most 100; anything else is not wrapped. */
export const pageWidth = ({ isTerminal, columns }: Output): number =>
  isTerminal ? Math.min(100, columns) : Number.POSITIVE_INFINITY;

/** Words as lines of at most `width` characters; a longer word has a line of its own. */
export function linesOf(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
