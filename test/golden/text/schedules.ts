import { AdaloraError } from "../../../core/errors.ts";
import {
  learningRateAt,
  type LearningRateSchedule,
  type ScheduleName,
  warmupSteps,
} from "../../../core/optim/schedule.ts";
import { goldenText } from "./golden-file.ts";
import { Findings, type FileCheck } from "./verdict.ts";

interface ScheduleCase {
  readonly name: ScheduleName;
  readonly kwargs: {
    readonly num_cycles?: number;
    readonly power?: number;
    readonly lr_end?: number;
    readonly timescale?: number;
  };
  readonly base_lr: number;
  readonly num_warmup_steps: number;
  readonly num_training_steps: number;
  readonly lr: readonly number[];
  /** The step after the last rate has none. */
  readonly error?: string;
}

interface Schedules {
  readonly schedules: readonly ScheduleCase[];
  readonly warmup_ratio: readonly {
    readonly num_training_steps: number;
    readonly warmup_ratio: number;
    readonly warmup_steps: number;
  }[];
}

/** `schedules.json`: the rate of every step of transformers' schedules, and the steps of a warm-up ratio. */
export const checkSchedules: FileCheck = (folder, file) => {
  const findings = new Findings();
  const { schedules, warmup_ratio: ratios }: Schedules = JSON.parse(goldenText(folder, file));
  for (const golden of schedules) {
    const schedule = scheduleOf(golden);
    const where = `${golden.name} ${JSON.stringify(golden.kwargs)} ${golden.num_warmup_steps}/${golden.num_training_steps}`;
    for (const [step, lr] of golden.lr.entries()) {
      // rates are around 1e-3: compare them in units of the base rate
      const got = learningRateAt(step, schedule) / golden.base_lr;
      findings.close("lr", `${where} step ${step}`, got, lr / golden.base_lr, { tolerance: 1e-12 });
    }
    if (golden.error === undefined) continue;
    findings.equal(
      "error",
      where,
      fails(() => learningRateAt(golden.lr.length, schedule)),
      true,
    );
  }
  for (const { num_training_steps: total, warmup_ratio: ratio, warmup_steps: steps } of ratios) {
    findings.equal("warmup_steps", `${ratio} of ${total}`, warmupSteps(ratio, total), steps);
  }
  return findings.verdict(schedules.length);
};

function scheduleOf({
  name,
  kwargs,
  base_lr,
  num_warmup_steps,
  num_training_steps,
}: ScheduleCase): LearningRateSchedule {
  const { num_cycles: cycles, power, lr_end: end, timescale } = kwargs;
  return {
    name,
    base: base_lr,
    warmup: num_warmup_steps,
    total: num_training_steps,
    ...(cycles === undefined ? {} : { cycles }),
    ...(power === undefined ? {} : { power }),
    ...(end === undefined ? {} : { end }),
    ...(timescale === undefined ? {} : { timescale }),
  };
}

function fails(body: () => unknown): boolean {
  try {
    body();
    return false;
  } catch (error) {
    if (error instanceof AdaloraError) return true;
    throw error;
  }
}
