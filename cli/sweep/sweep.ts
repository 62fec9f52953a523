import { bestFirst } from "../compare/best-first.ts";
import type { FailedRun } from "../compare/comparison.ts";
import { kebab } from "../names.ts";
import type { Configuration, PlannedSweep, SweepSubject } from "./plan-sweep.ts";
import type { Rung } from "./rungs.ts";

/** The result of a configuration in one rung. */
export interface RungResult {
  readonly steps: number;
  /** The metric on the rows held out of training; null where the run failed. */
  readonly value: number | null;
  /** Wall-clock time of the run so far, and the peak of its process's memory; null: unknown. */
  readonly seconds: number | null;
  readonly memory: number | null;
  /** The run's folder. */
  readonly out: string;
}

/** A configuration and the rungs that it reached. */
export interface SweptConfiguration {
  readonly configuration: Configuration;
  readonly rungs: readonly RungResult[];
}

/** A finished sweep. */
export interface Sweep {
  readonly subject: SweepSubject;
  readonly rungs: readonly Rung[];
  /** Those that reached the last rung come first, the best of each rung first; failed ones last. */
  readonly configurations: readonly SweptConfiguration[];
  /** Undefined where every run of a rung failed. */
  readonly best: SweptConfiguration | undefined;
  readonly failures: readonly FailedRun[];
}

/** Orders the configurations of a sweep that has run. */
export function rankedSweep(
  { subject, rungs }: PlannedSweep,
  swept: readonly SweptConfiguration[],
  failures: readonly FailedRun[],
): Sweep {
  const byRung = rungs.map((_, i) => {
    const last = swept.filter((one) => one.rungs.length === i + 1);
    const valued = last.map((one) => ({ one, value: one.rungs[i]!.value }));
    const ranked = bestFirst(valued, subject.isHigherBetter).map(({ one }) => one);
    return { ranked, failed: last.filter((one) => !ranked.includes(one)) };
  });
  const ranked = byRung.toReversed().flatMap((one) => one.ranked);
  return {
    subject,
    rungs,
    configurations: [...ranked, ...byRung.toReversed().flatMap(({ failed }) => failed)],
    best: byRung.at(-1)?.ranked[0],
    failures,
  };
}

/**
 * A sweep as JSON, the content of sweep.json: what depends on settings, data, seed and the
 * machine's arithmetic, but not on how long anything took. `command`: the words that train the best
 * one.
 */
export function sweepJson(
  { subject, rungs, configurations, best, failures }: Sweep,
  command: readonly string[] | null,
): object {
  const { task, metric, isHigherBetter, seed, heldOut } = subject;
  return {
    task,
    metric,
    higher_is_better: isHigherBetter,
    seed,
    held_out: heldOut,
    rungs,
    configurations: configurations.map(({ configuration, rungs: reached }) => ({
      name: configuration.choice.name,
      settings: settingsOf(configuration),
      rungs_continue: configuration.restartReason === undefined,
      rungs: reached.map(({ steps, value }) => ({ steps, value })),
    })),
    best: best?.configuration.choice.name ?? null,
    command,
    failures,
  };
}

/** What each configuration cost: the content of costs.json. */
export function sweepCostsJson({ configurations }: Sweep): object {
  return Object.fromEntries(
    configurations.map(({ configuration, rungs }) => [
      configuration.choice.name,
      { seconds: rungs.map(({ seconds }) => seconds), memory: rungs.map(({ memory }) => memory) },
    ]),
  );
}

/** Total time of a configuration's runs. A continued run's time already includes earlier rungs. */
export function secondsOf({ configuration, rungs }: SweptConfiguration): number | null {
  const known = rungs.flatMap(({ seconds }) => (seconds === null ? [] : [seconds]));
  if (known.length === 0) return null;
  return configuration.restartReason === undefined
    ? Math.max(...known)
    : known.reduce((sum, seconds) => sum + seconds, 0);
}

/** Peak memory over the runs of a configuration. */
export function memoryOf({ rungs }: SweptConfiguration): number | null {
  const known = rungs.flatMap(({ memory }) => (memory === null ? [] : [memory]));
  return known.length === 0 ? null : Math.max(...known);
}

// --- internal ---

const settingsOf = ({ choice }: Configuration) =>
  Object.fromEntries(
    Array.from(choice.values, ([setting, { value }]) => [kebab(setting), value] as const),
  );
