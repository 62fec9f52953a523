/** A place to print: stdout, stderr, or a test's list. */
export interface Output {
  write(text: string): void;
  /** Whether it is a terminal, whose last line can be rewritten. */
  readonly isTerminal: boolean;
  /** Width of a line in characters: the terminal's, or COLUMNS where that is less; default 80. */
  readonly columns: number;
  readonly colours: boolean;
}

/** Wraps a stream of the process. Only terminals have colours, unless NO_COLOR is set. */
export function outputOf(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv = process.env): Output {
  const isTerminal = stream.isTTY && env["TERM"] !== "dumb";
  return {
    write: (text) => void stream.write(text),
    isTerminal,
    get columns() {
      const wanted = Number(env["COLUMNS"]) || Infinity;
      const found = Math.min(stream.columns || Infinity, Math.max(wanted, 1));
      return Number.isFinite(found) ? found : 80;
    },
    colours: isTerminal && !env["NO_COLOR"],
  };
}

const codes = { bold: "1", dim: "2", red: "31", yellow: "33" } as const;

/** Colours a text where the output has colours. */
export function paint(output: Output, colour: keyof typeof codes, text: string): string {
  return output.colours ? `\x1b[${codes[colour]}m${text}\x1b[0m` : text;
}
