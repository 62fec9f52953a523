import type { Interval } from "../core/metrics/bootstrap.ts";
import { intervalText } from "./metrics-text.ts";
import type { RunPanel } from "./run-panel.ts";

/** The progress of a training run. */
export interface Progress {
  /** Completed optimizer steps. */
  readonly step: number;
  /** All steps of the run. */
  readonly steps: number;
  readonly loss: number;
  /** AdaLoRA's rank budget, a sum over all matrices; undefined for other methods. */
  readonly budget?: number | undefined;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
  /** What a panel shows besides; read only where one is drawn. */
  readonly panel?: (() => RunPanel) | undefined;
}

/**
 * "step   120/3900   3%  loss 0.6931  budget 282  1,240 tokens/s  1 h 12 min left"; in fewer
 * `columns` without the speed, then without the percentage, the budget and the loss.
 */
export function progressLine(state: Progress, columns = Infinity): string {
  const { step, steps, loss, budget, tokensPerSecond, secondsLeft } = state;
  return fitted(
    [
      { text: `step ${String(step).padStart(String(steps).length)}/${steps}` },
      { text: `${Math.floor((100 * step) / steps)}%`.padStart(4), dropped: 2 },
      { text: `loss ${loss.toFixed(4)}`, dropped: 4 },
      ...(budget === undefined ? [] : [{ text: `budget ${budget}`, dropped: 3 }]),
      { text: `${Math.round(tokensPerSecond).toLocaleString("en-US")} tokens/s`, dropped: 1 },
      { text: `${duration(secondsLeft)} left` },
    ],
    columns,
  );
}

/** How far an evaluation or a prediction is. */
export interface BatchProgress {
  readonly verb: "evaluating" | "predicting";
  readonly split: string;
  /** Rows, or windows of long contexts, of `total`. */
  readonly done: number;
  readonly total: number;
  /** The share of all work that is done: long rows come first. */
  readonly share: number;
  /** Undefined before the first batch, unless known from an earlier evaluation. */
  readonly secondsLeft: number | undefined;
}

/**
 * "evaluating validation  1,234/5,463   22%  1 min 5 s left"; in fewer `columns` without the
 * percentage, then without the split.
 */
export function batchLine(state: BatchProgress, columns = Infinity): string {
  const { verb, split, done, total, share, secondsLeft } = state;
  const count = total.toLocaleString("en-US");
  return fitted(
    [
      { text: `${verb} ${split}`, dropped: 2 },
      { text: `${done.toLocaleString("en-US").padStart(count.length)}/${count}` },
      { text: `${Math.floor(100 * share)}%`.padStart(4), dropped: 1 },
      ...(secondsLeft === undefined ? [] : [{ text: `${duration(secondsLeft)} left` }]),
    ],
    columns,
  );
}

/** The result of an evaluation during training. */
export interface Scores {
  readonly step: number;
  readonly split: string;
  /** In printing order. */
  readonly metrics: readonly (readonly [name: string, value: number, interval?: Interval])[];
  /** Whether it is the best evaluation so far. */
  readonly isBest: boolean;
}

/** "step 120  validation  accuracy 0.9012  loss 0.3012  best so far", wrapped to the columns. */
export function scoresText({ step, split, metrics, isBest }: Scores, columns: number): string {
  const values = metrics.map(
    ([name, value, interval]) => `${name} ${value.toFixed(4)}${intervalText(interval)}`,
  );
  const parts = [split, ...values, ...(isBest ? ["best so far"] : [])];
  const margin = `step ${step}`;
  const lines: string[] = [];
  let line = margin;
  for (const part of parts) {
    if (line.length + 2 + part.length > columns) {
      lines.push(line);
      line = " ".repeat(margin.length);
    }
    line += `  ${part}`;
  }
  return [...lines, line].join("\n");
}

/** A time span in its two largest units: "45 s", "12 min 5 s", "3 h 20 min", "2 d 4 h". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return joined(whole, 60, "min", 1, "s");
  if (whole < 86_400) return joined(whole, 3600, "h", 60, "min");
  return joined(whole, 86_400, "d", 3600, "h");
}

/**
 * A part of a line; `dropped`: the order in which parts are left out of a line that is too long.
 */
interface Part {
  readonly text: string;
  readonly dropped?: number;
}

/** Joins parts, and leaves some out until they fit. */
function fitted(parts: readonly Part[], columns: number): string {
  const text = parts.map((part) => part.text).join("  ");
  const turns = parts.flatMap(({ dropped }) => (dropped === undefined ? [] : [dropped]));
  if (text.length <= columns || turns.length === 0) return text;
  const turn = Math.min(...turns);
  return fitted(
    parts.filter(({ dropped }) => dropped !== turn),
    columns,
  );
}

function joined(seconds: number, large: number, name: string, small: number, second: string) {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${name}${rest === 0 ? "" : ` ${rest} ${second}`}`;
}
