import { errors } from "../errors.ts";

/** The schedules, by transformers' names. */
export const scheduleNames = [
  "linear",
  "cosine",
  "cosine_with_restarts",
  "polynomial",
  "constant",
  "constant_with_warmup",
  "inverse_sqrt",
] as const;

/** A schedule's name. */
export type ScheduleName = (typeof scheduleNames)[number];

/** A learning-rate schedule; all but `constant` rise linearly from 0 over `warmup` steps. */
export interface LearningRateSchedule {
  readonly name: ScheduleName;
  /** The peak learning rate. */
  readonly base: number;
  /** Warm-up length in optimizer steps. */
  readonly warmup: number;
  /** Training length in optimizer steps. */
  readonly total: number;
  /** cosine: waves (default 0.5: down to 0); cosine_with_restarts: restarts (default 1). */
  readonly cycles?: number;
  /** polynomial: the exponent, default 1. */
  readonly power?: number;
  /** polynomial: the rate at and after the last step, default 1e-7. */
  readonly end?: number;
  /** inverse_sqrt: default the warm-up, or 10,000 without one. */
  readonly timescale?: number;
}

/** The warm-up steps of a ratio of the run, rounded up as in transformers. */
export function warmupSteps(ratio: number, total: number): number {
  return Math.ceil(total * ratio);
}

/**
 * The learning rate of optimizer step `step` (0-based); steps from `total` on are defined too.
 * Equal to transformers' `get_scheduler`: with warm-up, the first step has a rate of 0.
 * `base`: the peak of a parameter group whose rate differs from the schedule's; torch scales it by
 * the same factor.
 */
export function learningRateAt(
  step: number,
  schedule: LearningRateSchedule,
  base = schedule.base,
): number {
  return base * factorAt(step, schedule);
}

/** Checks a schedule before training; throws E_FLAG. */
export function checkSchedule(schedule: LearningRateSchedule): void {
  const { name, base, warmup, total } = schedule;
  if (!Number.isInteger(warmup) || warmup < 0) {
    throw errors.flag("warmup-steps", `must be a whole number of steps, got ${warmup}`);
  }
  if (!Number.isInteger(total) || total < 1) {
    throw errors.flag("max-steps", `must be a whole number of steps above 0, got ${total}`);
  }
  if (name !== "polynomial") return;
  checkPolynomialLength(schedule);
  const end = schedule.end ?? defaultEnd;
  if (end >= base) {
    throw errors.flag("lr", `must be above the polynomial schedule's end rate ${end}, got ${base}`);
  }
}

const defaultEnd = 1e-7;

function checkPolynomialLength({ warmup, total }: LearningRateSchedule): void {
  if (warmup !== total) return;
  throw errors.flag(
    "schedule",
    `polynomial needs a step after warm-up: got ${warmup} warm-up steps of ${total} steps`,
    "shorten the warm-up, or use --schedule linear",
  );
}

function factorAt(step: number, schedule: LearningRateSchedule): number {
  if (schedule.name !== "constant" && step < schedule.warmup) return step / schedule.warmup;
  return afterWarmup[schedule.name](step, schedule);
}

type Factor = (step: number, schedule: LearningRateSchedule) => number;

/** The factor on the base rate after warm-up. */
const afterWarmup: Readonly<Record<ScheduleName, Factor>> = {
  constant: () => 1,
  constant_with_warmup: () => 1,
  linear: (step, { warmup, total }) => Math.max(0, (total - step) / Math.max(1, total - warmup)),
  cosine: (step, schedule) => halfCosine((schedule.cycles ?? 0.5) * 2 * progressAt(step, schedule)),
  cosine_with_restarts(step, schedule) {
    const progress = progressAt(step, schedule);
    return progress >= 1 ? 0 : halfCosine(((schedule.cycles ?? 1) * progress) % 1);
  },
  polynomial(step, schedule) {
    const { base, warmup, total, power = 1, end = defaultEnd } = schedule;
    if (step > total) return end / base;
    checkPolynomialLength(schedule);
    const left = 1 - (step - warmup) / (total - warmup);
    return ((base - end) * left ** power + end) / base;
  },
  inverse_sqrt(step, { warmup, timescale = warmup || 10_000 }) {
    return 1 / Math.sqrt((step + timescale - warmup) / timescale);
  },
};

function progressAt(step: number, { warmup, total }: LearningRateSchedule): number {
  return (step - warmup) / Math.max(1, total - warmup);
}

/** 1 at turn 0, 0 at turn 1. */
function halfCosine(turn: number): number {
  return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * turn)));
}
