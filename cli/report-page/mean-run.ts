import { dirname } from "node:path";
import { invariant } from "../../core/errors.ts";
import type { JsonObject } from "../../core/io/json-file.ts";
import type { RunResult } from "../../core/run/results.ts";
import type { LoggedEvaluation, RunLog, Series, StepField } from "./read-log.ts";
import { stepFields } from "./read-log.ts";
import type { ReportedRun } from "./read-run.ts";
import { valueText } from "./value-text.ts";

/**
 * Several runs of one arm as one: means of their curves, evaluations and times, over the runs that
 * have a value at a step, every value of a setting in which they differ, such as the seed, and the
 * largest peak of memory. The rest is the first run's; masks are left out. `runs` is not empty.
 */
export function meanRun(name: string, runs: readonly ReportedRun[]): ReportedRun {
  const [first] = runs;
  invariant(first, "an arm has runs");
  const logs = runs.map(({ log }) => log);
  const log: RunLog = {
    head: first.log.head,
    lastStep: Math.max(...logs.map(({ lastStep }) => lastStep)),
    curves: meanCurves(logs),
    evaluations: meanEvaluations(logs),
    masks: [],
  };
  const times = runs.flatMap(({ time }) => time ?? []);
  const mean = (of: (time: (typeof times)[number]) => number) =>
    times.reduce((sum, time) => sum + of(time), 0) / times.length;
  const time = {
    start: mean(({ start }) => start),
    training: mean(({ training }) => training),
    evaluation: mean(({ evaluation }) => evaluation),
  };
  const one = { ...first, name, log, time: times.length > 0 ? time : undefined };
  if (runs.length === 1) return one;
  return {
    ...one,
    result: meanResult(runs),
    config: sharedConfig(runs),
    folder: dirname(first.folder),
  };
}

// --- internal ---

/** The first run's result with the largest peak; each run has a best step of its own. */
function meanResult(runs: readonly ReportedRun[]): RunResult | undefined {
  const results = runs.flatMap(({ result }) => result ?? []);
  const [first] = results;
  if (!first) return undefined;
  const peaks = results.flatMap(({ peakMemory }) => peakMemory.process ?? []);
  const peakMemory = {
    ...first.peakMemory,
    ...(peaks.length > 0 && { process: Math.max(...peaks) }),
  };
  return { ...first, best: null, peakMemory };
}

/** Settings of the runs; where they differ, all values: "1, 2, 3" of the seed. */
function sharedConfig(runs: readonly ReportedRun[]): JsonObject {
  const keys = new Set(runs.flatMap(({ config }) => Object.keys(config)));
  return Object.fromEntries(
    Array.from(keys, (key) => {
      const texts = [...new Set(runs.map(({ config }) => valueText(config[key])))];
      return [key, texts.length === 1 ? runs[0]!.config[key] : texts.join(", ")];
    }),
  );
}

function meanCurves(logs: readonly RunLog[]): Readonly<Record<StepField, Series>> {
  const entries = stepFields.map((field) => [
    field,
    meanSeries(logs.map(({ curves }) => curves[field])),
  ]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys are stepFields
  return Object.fromEntries(entries) as Record<StepField, Series>;
}

function meanSeries(all: readonly Series[]): Series {
  const sums = new Map<number, Sum>();
  for (const { steps, values } of all) {
    for (const [i, step] of steps.entries()) add(sums, step, values[i]!);
  }
  const sorted = [...sums].toSorted(([a], [b]) => a - b);
  return {
    steps: sorted.map(([step]) => step),
    values: sorted.map(([, { sum, count }]) => sum / count),
  };
}

function meanEvaluations(logs: readonly RunLog[]): readonly LoggedEvaluation[] {
  const groups = Map.groupBy(
    logs.flatMap(({ evaluations }) => evaluations),
    ({ step, split }) => JSON.stringify([step, split]),
  );
  return [...groups.values()]
    .map((group) => {
      const sums = new Map<string, Sum>();
      for (const { metrics } of group)
        for (const [metric, value] of Object.entries(metrics)) add(sums, metric, value);
      const means = Array.from(sums, ([metric, { sum, count }]) => [metric, sum / count] as const);
      return { ...group[0]!, metrics: Object.fromEntries(means) };
    })
    .toSorted((a, b) => a.step - b.step);
}

interface Sum {
  readonly sum: number;
  readonly count: number;
}

function add<Key>(sums: Map<Key, Sum>, key: Key, value: number): void {
  const { sum, count } = sums.get(key) ?? { sum: 0, count: 0 };
  sums.set(key, { sum: sum + value, count: count + 1 });
}
