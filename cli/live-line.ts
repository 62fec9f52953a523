import type { Output } from "./terminal.ts";

/** The last line of a terminal, which is rewritten. */
export interface LiveLine {
  /** Shows a text, cut to the terminal's width, unless the last one was shown just now; `always` overrides that. */
  show(text: string, always: boolean): void;
  /** What erases it, to be written before other text; it is gone then. */
  erase(): string;
}

/** Live lines are rewritten at most this often. */
const interval = 100; // ms: faster than the eye reads

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
