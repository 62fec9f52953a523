import type { Interval } from "../core/metrics/bootstrap.ts";
import { intervalText } from "./metrics-text.ts";

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
}

/** "step   120/3900   3%  loss 0.6931  budget 282  1,240 tokens/s  1 h 12 min left" */
export function progressLine({
  step,
  steps,
  loss,
  budget,
  tokensPerSecond,
  secondsLeft,
}: Progress): string {
  const parts = [
    `step ${String(step).padStart(String(steps).length)}/${steps}`,
    `${Math.floor((100 * step) / steps)}%`.padStart(4),
    `loss ${loss.toFixed(4)}`,
    ...(budget === undefined ? [] : [`budget ${budget}`]),
    `${Math.round(tokensPerSecond).toLocaleString("en-US")} tokens/s`,
    `${duration(secondsLeft)} left`,
  ];
  return parts.join("  ");
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

function joined(seconds: number, large: number, name: string, small: number, second: string) {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${name}${rest === 0 ? "" : ` ${rest} ${second}`}`;
}
