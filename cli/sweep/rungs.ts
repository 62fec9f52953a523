import { isOneOf, pruningMethods } from "../../core/config/method.ts";
import type { RunConfig } from "../../core/config/run-config.ts";
import type { RunSchedule } from "../../core/run/phases.ts";
import { relativePhases } from "../recipe-length.ts";

/** One rung of successive halving. */
export interface Rung {
  /** Its length, relative to that of a whole run. */
  readonly share: number;
  /** How many configurations it runs: the best of the rung before. */
  readonly count: number;
}

/**
 * The rungs for `count` configurations (Jamieson and Talwalkar, arXiv 1502.07943): each rung trains
 * `reduction` times as long as the one before and keeps one configuration in `reduction`, rounded
 * up. The last rung's runs are whole ones.
 */
export function rungsOf(count: number, reduction: number): readonly Rung[] {
  let [rungs, left] = [1, count];
  for (; left >= reduction; left /= reduction) rungs++;
  if (count > 1) rungs = Math.max(rungs, 2);
  return Array.from({ length: rungs }, (_, i) => ({
    share: reduction ** (i + 1 - rungs),
    count: Math.ceil(count / reduction ** i),
  }));
}

/** Steps of each rung of a run; every one but the last is a multiple of the first. */
export function rungSteps(steps: number, rungs: readonly Rung[]): readonly number[] {
  const first = Math.max(1, Math.floor(steps * (rungs[0]?.share ?? 1)));
  return rungs.map(({ share }, i) =>
    i === rungs.length - 1
      ? steps
      : Math.min(steps, first * Math.round(share / (rungs[0]?.share ?? 1))),
  );
}

/**
 * Why a run of this configuration cannot be continued by a longer one; undefined where its first
 * steps are exactly those of a shorter run, so that a rung resumes the one before. `first`: the
 * steps of the first rung.
 */
export function restartReason(
  config: RunConfig,
  schedule: RunSchedule,
  first: number,
): string | undefined {
  if (isOneOf(config.method, pruningMethods)) {
    return `${config.method} reaches its budget at a share of the run's steps`;
  }
  if (!lengthless.has(config.schedule)) {
    return `--schedule ${config.schedule} ends at the run's last step`;
  }
  if (schedule.warmupSteps >= first) return "the learning rate's warm-up is longer than a rung";
  return config.earlyStopping > 0 ? "--early-stopping may end a run before its rung" : undefined;
}

/** The configuration of a run of `steps`, in which each phase has its share of a whole run. */
export function shortened(config: RunConfig, whole: RunSchedule, steps: number): RunConfig {
  const length = { epochs: null, maxSteps: steps };
  if (steps >= whole.steps) return { ...config, ...length };
  const phases = relativePhases(config, whole.steps, steps / whole.steps);
  const warmup = phases.warmupRatio === undefined ? {} : { warmupSteps: null };
  return { ...config, ...length, ...phases, ...warmup };
}

// --- internal ---

/** Schedules whose rate at a step does not depend on the length of the run. */
const lengthless: ReadonlySet<string> = new Set<RunConfig["schedule"]>([
  "constant",
  "constant_with_warmup",
  "inverse_sqrt",
]);
