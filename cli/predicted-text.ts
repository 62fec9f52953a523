import { byteSize } from "./byte-size.ts";
import { metricLine } from "./metrics-text.ts";
import { duration } from "./progress.ts";

/** What a run takes: bytes at its peak, and seconds. */
export interface RunCost {
  readonly memory: number;
  readonly seconds?: number | undefined;
}

/** Predicted and actual costs side by side, for JSON. */
export interface CostComparison {
  readonly memory: { readonly predicted: number; readonly actual: number };
  readonly seconds?: { readonly predicted: number; readonly actual: number };
}

/** Pairs what was predicted of a run with what it took. */
export function compareCosts(predicted: RunCost, actual: Required<RunCost>): CostComparison {
  const { memory, seconds } = predicted;
  return {
    memory: { predicted: memory, actual: actual.memory },
    ...(seconds === undefined || actual.seconds === undefined
      ? {}
      : { seconds: { predicted: seconds, actual: actual.seconds } }),
  };
}

/** The lines of a comparison, below a run's metrics. */
export function comparisonLines({ memory, seconds }: CostComparison): string[] {
  const pair = (actual: string, predicted: string) => `${actual}, ${predicted} predicted`;
  return [
    metricLine("peak memory", pair(byteSize(memory.actual), byteSize(memory.predicted))),
    ...(seconds
      ? [metricLine("time", pair(duration(seconds.actual), duration(seconds.predicted)))]
      : []),
  ];
}
