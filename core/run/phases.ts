import { isOneOf, pruningMethods } from "../config/method.ts";
import type { RunConfig } from "../config/run-config.ts";
import type { Percent } from "../config/setting.ts";
import type { AdaloraError } from "../errors.ts";
import { warmupSteps } from "../optim/schedule.ts";
import { budgetErrors } from "./budget-errors.ts";

/** A range of optimizer steps, numbered from 0, both ends inclusive. */
export interface Phase {
  readonly name: "warm-up" | "budgeting" | "final" | "training";
  readonly first: number;
  readonly last: number;
}

/** The length and phases of a run, in optimizer steps. */
export interface RunSchedule {
  /** Training examples; long contexts count once per window. */
  readonly trainRows: number;
  readonly stepsPerEpoch: number;
  /** Total optimizer steps. */
  readonly steps: number;
  /** Learning-rate warm-up steps. */
  readonly warmupSteps: number;
  /** Lengths of AdaLoRA's warm-up and final phase; 0 for methods that don't prune. */
  readonly initWarmup: number;
  readonly finalWarmup: number;
  /** In order, without empty phases; [] if the settings leave no step to prune in. */
  readonly phases: readonly Phase[];
  /** Number of steps in the budgeting phase that prune. */
  readonly prunings: number;
}

/**
 * Problems make a run impossible; warnings flag settings that are valid but probably unintended.
 */
export interface Diagnostics {
  readonly problems: readonly AdaloraError[];
  readonly warnings: readonly string[];
}

/**
 * Computes and checks the steps and phases of a run over `trainRows` (>= 1) examples. The last
 * batch and the last step of an epoch may be smaller: no example is dropped. Phases follow the
 * reference: pruning is possible at `initWarmup < step <= steps - finalWarmup`; the final phase
 * comes after.
 */
export function resolveSchedule(
  config: RunConfig,
  trainRows: number,
): RunSchedule & { readonly diagnostics: Diagnostics } {
  const stepsPerEpoch = Math.ceil(Math.ceil(trainRows / config.batchSize) / config.gradAccum);
  const steps = config.maxSteps ?? Math.ceil((config.epochs ?? 0) * stepsPerEpoch);
  const prunes = isOneOf(config.method, pruningMethods);
  const initWarmup = prunes ? stepsOf(config.initWarmup, steps) : 0;
  const finalWarmup = prunes ? stepsOf(config.finalWarmup, steps) : 0;
  const lengths = {
    trainRows,
    stepsPerEpoch,
    steps,
    warmupSteps: config.warmupSteps ?? warmupSteps(config.warmupRatio ?? 0, steps),
    initWarmup,
    finalWarmup,
  };
  const valid = initWarmup + finalWarmup < steps;
  const phases = valid ? phasesOf(lengths, prunes) : [];
  const budgeting = phases.find(({ name }) => name === "budgeting");
  const prunings = budgeting ? multiplesIn(budgeting, config.maskInterval) : 0;
  const schedule = { ...lengths, phases, prunings };
  return { ...schedule, diagnostics: diagnose(config, schedule, budgeting) };
}

/** Converts a step count or a percentage of all steps to steps, rounded to the nearest. */
export function stepsOf(span: number | Percent, steps: number): number {
  return typeof span === "number" ? span : Math.round((Number.parseFloat(span) / 100) * steps);
}

// --- internal ---

type Lengths = Omit<RunSchedule, "phases" | "prunings">;

function phasesOf({ steps, initWarmup, finalWarmup }: Lengths, prunes: boolean): Phase[] {
  if (!prunes) return [{ name: "training", first: 0, last: steps - 1 }];
  const lastPruning = Math.min(steps - finalWarmup, steps - 1);
  const phases: Phase[] = [
    { name: "warm-up", first: 0, last: initWarmup },
    { name: "budgeting", first: initWarmup + 1, last: lastPruning },
    { name: "final", first: steps - finalWarmup + 1, last: steps - 1 },
  ];
  return phases.filter(({ first, last }) => first <= last);
}

function multiplesIn({ first, last }: Phase, interval: number): number {
  return Math.floor(last / interval) - Math.floor((first - 1) / interval);
}

function diagnose(
  { maskInterval, method }: RunConfig,
  { steps, initWarmup, finalWarmup, phases, prunings, warmupSteps: rise }: RunSchedule,
  budgeting: Phase | undefined,
): Diagnostics {
  const problems: AdaloraError[] = [];
  const warnings: string[] = [];
  if (phases.length === 0) {
    problems.push(budgetErrors.phases(steps, initWarmup, finalWarmup));
  } else if (isOneOf(method, pruningMethods) && prunings === 0) {
    const when = budgeting
      ? `no multiple of --mask-interval ${maskInterval} falls in the budgeting phase`
      : "the budgeting phase is empty";
    warnings.push(`${when}: all pruning happens at the start of the final phase`);
  }
  if (rise > steps) {
    const share = ((100 * steps) / rise).toFixed(0);
    warnings.push(
      `the learning rate reaches ${share}% of its peak: ${rise} warm-up steps in a run of ${steps}`,
    );
  }
  return { problems, warnings };
}
