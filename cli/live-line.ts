import { cutToWidth } from "./text-width.ts";
import type { Output } from "./terminal.ts";

/** The last lines of a terminal, which are rewritten: one line, or a block of them. */
export interface LiveLine {
  /**
   * Shows a text, cut to the terminal's width, in place of what is shown. Skips it within 100 ms of
   * the last one, unless `always` is set.
   */
  show(text: string, always: boolean): void;
  /**
   * As `show`, but several lines, which must fit the terminal's width; the last ones are left out
   * where the terminal has too few rows. `lines` is called only if they are shown.
   */
  showBlock(lines: () => readonly string[], always: boolean): void;
  /** Returns the characters that erase what is shown, to be written before other text. */
  erase(): string;
  /** Shows again the block that `erase` removed last, after other text. */
  restore(): void;
}

/** Shortest time between two updates. */
const interval = 100; // ms; faster changes can't be read

/** Creates the live lines of an output. */
export function liveLine(output: Output): LiveLine {
  let shown: Shown | undefined;
  let erased: readonly string[] = [];
  let last = -Infinity;
  const isSoon = (always: boolean) => {
    const now = performance.now();
    if (now - last < interval && !always) return true;
    last = now;
    return false;
  };
  const erase = () => {
    const characters = shown === undefined ? "" : erasing(shown, output.columns);
    erased = shown?.isBlock === true ? shown.lines : [];
    shown = undefined;
    return characters;
  };
  const drawBlock = (lines: readonly string[]) => {
    const kept = lines.slice(0, Math.max(1, output.rows - 1));
    // Each line is cleared where it is written, not all of them before: that would flicker.
    const start = shown?.isBlock === true ? up(rowsOf(shown.lines, output.columns)) : erase();
    const drawn = kept.map((line) => `\r\x1b[2K${line}\n`).join("");
    output.write(`${start}${drawn}\x1b[J`);
    shown = { lines: kept, isBlock: true };
  };
  return {
    show(text, always) {
      if (isSoon(always)) return;
      const line = cutToWidth(text, output.columns - 1);
      output.write(erase() + line);
      shown = { lines: [line], isBlock: false };
    },
    showBlock(lines, always) {
      if (!isSoon(always)) drawBlock(lines());
    },
    erase,
    restore() {
      if (erased.length > 0) drawBlock(erased);
    },
  };
}

// --- internal ---

interface Shown {
  readonly lines: readonly string[];
  readonly isBlock: boolean;
}

const up = (rows: number) => (rows === 0 ? "" : `\x1b[${rows}A`);

/**
 * The cursor stays at the end of a single line, but below a block: a process that is killed leaves
 * the prompt on a line of its own.
 */
function erasing({ lines, isBlock }: Shown, columns: number): string {
  return isBlock ? `${up(rowsOf(lines, columns))}\r\x1b[J` : "\r\x1b[2K";
}

/** Rows that lines take: a terminal that has become narrower has wrapped them. */
const rowsOf = (lines: readonly string[], columns: number) =>
  lines.reduce((rows, line) => rows + Math.max(1, Math.ceil(Bun.stringWidth(line) / columns)), 0);
