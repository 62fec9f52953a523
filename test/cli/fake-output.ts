import type { Output } from "../../cli/terminal.ts";

/** An output that remembers what was written. */
export function fakeOutput(options: Partial<Output> = {}): Output & { readonly text: string } {
  let text = "";
  return {
    isTerminal: false,
    columns: 80,
    rows: 24,
    colours: false,
    isClosed: false,
    ...options,
    write: (more) => void (text += more),
    get text() {
      return text;
    },
  };
}
