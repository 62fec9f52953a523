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

// --- internal ---

function linesOf(words: readonly string[], width: number): string[] {
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
