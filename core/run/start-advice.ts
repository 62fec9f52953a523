import { isOneOf, svdMethods } from "../config/method.ts";
import { isOwnDataTask } from "../config/task-names.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { PreparedRun } from "./prepare.ts";

/**
 * Advises `--start lora` where the run is too short for the paper's start; undefined where it is
 * long enough, has another start or an adapter to start from, or repeats a task of the paper.
 *
 * Under Adam each E moves by at most about one learning rate a step, whatever its gradient. From
 * E = 0 the increments therefore stay below those of LoRA, whose E would be 1, unless the rates of
 * all steps add up to at least 1.
 */
export function startAdvice({
  config,
  schedule,
  from,
}: Pick<PreparedRun, "config" | "schedule" | "from">): string | undefined {
  const { task, method, start, lr, lrE } = config;
  const isPaperStart = isOneOf(method, svdMethods) && start === null && from === undefined;
  if (!isPaperStart || !isOwnDataTask(task)) return undefined;
  const { steps, warmupSteps: warmup } = schedule;
  const rate = { name: config.schedule, base: lrE ?? lr, warmup, total: steps };
  let reach = 0;
  for (let step = 0; step < steps && reach < 1; step++) reach += learningRateAt(step, rate);
  if (reach >= 1) return undefined;
  const few = `${steps.toLocaleString("en-US")} step${steps === 1 ? " is" : "s are"} few`;
  return `E starts at 0 and ${few}, as it moves by at most ${Number(reach.toPrecision(2))}: --start lora starts it at 1`;
}
