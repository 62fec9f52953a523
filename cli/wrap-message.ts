import { linesOf } from "./wrap.ts";

/** Programs that messages tell the user to run. */
const PROGRAMS = /^['`]?(?:\S*\/)?(?:adalora|bun(?:\.exe)?|npm|npx|apt-get|pip|ulimit)$/;
/** A text in quotes, which may hold spaces, with what is attached to it; or a word. */
const PARTS = /(?:(?<![^\s=(])(?:"[^"]*"|`[^`]*`|'[^']*'(?:\\''[^']*')*)|\S)+/g;
const END = /[,;:.)`]$/;

/**
 * A message in lines of at most `width` characters; its label of `indent` characters is printed
 * before it, and later lines are indented as far. A line ends at a space of the prose, never within
 * a quoted text or a command, which must paste whole. A longer part has a line of its own.
 */
export function wrappedMessage(text: string, width: number, indent = 0): string {
  if (indent + text.length <= width) return text;
  const [column = ""] = /^(?: *\S+ {2,}| +)/.exec(text) ?? []; // "label     text"
  const hang = indent + column.length;
  const parts = withWholeCommands(text.slice(column.length).match(PARTS) ?? []);
  const lines = linesOf(parts, Math.max(20, width - hang));
  return column + lines.join(`\n${" ".repeat(hang)}`);
}

// --- internal ---

/** Joins each command's words: the program, two words after it, then flags, values and quoted texts. */
function withWholeCommands(words: readonly string[]): string[] {
  const parts: string[] = [];
  for (let i = 0; i < words.length;) {
    const length = commandLength(words.slice(i));
    parts.push(words.slice(i, i + length).join(" "));
    i += length;
  }
  return parts;
}

/** The number of words of the command that these begin with; 1 for a word of prose. */
function commandLength(words: readonly string[]): number {
  const [first = ""] = words;
  if (!PROGRAMS.test(first)) return 1;
  let length = 1;
  while (length < words.length && !END.test(words[length - 1] ?? "")) {
    const [before = "", word = ""] = words.slice(length - 1);
    if (length > 2 && !before.startsWith("-") && !/^[-'"]/.test(word)) break;
    length++;
  }
  return length;
}
