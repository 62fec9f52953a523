import { isOneOf, startFor, svdMethods } from "../config/method.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { PreparedRun } from "./prepare.ts";

/**
 * What `plan` says about a start that the user did not choose: that it is LoRA's, and why, or that
 * the run is too short for the paper's. Undefined without E, with a chosen start or with `--from`,
 * and where the run is long enough for the paper's start.
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
  if (!isOneOf(method, svdMethods) || start !== null || from !== undefined) return undefined;
  const { steps, warmupSteps: warmup } = schedule;
  const rate = { name: config.schedule, base: lrE ?? lr, warmup, total: steps };
  let reach = 0;
  for (let step = 0; step < steps && reach < 1; step++) reach += learningRateAt(step, rate);
  const isShort = reach < 1;
  const few = `${steps.toLocaleString("en-US")} step${steps === 1 ? " moves" : "s move"} it by at most ${Number(reach.toPrecision(2))}`;
  if (startFor(method, task) === "lora") {
    return isShort
      ? `lora: --start paper starts E at 0, and ${few}`
      : "lora, the default for data of your own; --start paper starts as the paper does";
  }
  return isShort ? `E starts at 0, and ${few}: --start lora starts it at 1` : undefined;
}
