import type { Output } from "./terminal.ts";

/** The last line of a terminal, which is rewritten. */
export interface LiveLine {
  /**
   * Shows a text, cut to the terminal's width. Skips it within 100 ms of the last one, unless
   * `always` is set.
   */
  show(text: string, always: boolean): void;
  /** Returns the characters that erase the line, to be written before other text. */
  erase(): string;
}

/** Shortest time between two updates. */
const interval = 100; // ms; nobody reads faster

/** Creates the live line of an output. */
export function liveLine(output: Output): LiveLine {
  let isShown = false;
  let last = -Infinity;
  const erase = () => {
    const wasShown = isShown;
    isShown = false;
    return wasShown ? "\r\x1b[2K" : "";
  };
  return {
    show(text, always) {
      const now = performance.now();
      if (now - last < interval && !always) return;
      last = now;
      output.write(erase() + text.slice(0, output.columns - 1));
      isShown = true;
    },
    erase,
  };
}
