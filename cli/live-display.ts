import { liveLine } from "./live-line.ts";
import { printable } from "./printable.ts";
import { batchLine, type BatchProgress, type Progress, progressLine } from "./progress.ts";
import { panelLines } from "./run-panel.ts";
import type { Output } from "./terminal.ts";

/** What a terminal shows of work in progress: a line, or the panel of a run. */
export interface LiveDisplay {
  /** Shows the panel of a run, or its progress as a line where it has none. */
  progress(state: Progress): void;
  /** Shows an evaluation or a prediction: below the panel of a run, or as a line. */
  batches(state: BatchProgress): void;
  /** Shows a text in place of all else; `atOnce`: even soon after the last one. */
  text(text: string, atOnce: boolean): void;
  /** Returns the characters that erase what is shown, to be written before other text. */
  erase(): string;
  /** Shows a panel again that was erased for other text. */
  restore(): void;
}

/** Creates the display at the end of an output that is a terminal. */
export function liveDisplay(output: Output): LiveDisplay {
  const line = liveLine(output);
  let panelled: Progress | undefined;
  const showPanel = (state: Progress, atOnce: boolean, status?: string) => {
    panelled = state;
    const lines = () => (state.panel ? panelLines(state, state.panel(), output, status) : []);
    line.showBlock(lines, atOnce);
  };
  const width = () => output.columns - 1;
  return {
    progress(state) {
      const isLast = state.step === state.steps;
      if (state.panel) showPanel(state, isLast);
      else line.show(progressLine(state, width()), isLast);
    },
    batches(state) {
      const isLast = state.done === state.total;
      const status = batchLine(state, width());
      if (panelled) showPanel(panelled, isLast, status);
      else line.show(status, isLast);
    },
    text(text, atOnce) {
      panelled = undefined;
      line.show(printable(text), atOnce);
    },
    erase: () => line.erase(),
    restore: () => line.restore(),
  };
}
