import { type FittedRun, fitMemory, type MemorySettings } from "../core/run/fit-memory.ts";
import type { PreparedRun } from "../core/run/prepare.ts";
import { errors } from "../core/errors.ts";
import { deviceFor, resolveDtype } from "./backend.ts";
import { byteSize, bytesIn } from "./byte-size.ts";

/** A run within its memory, and how that was reached. */
export interface FittedPlan {
  readonly run: PreparedRun;
  /** Undefined without --memory. */
  readonly note: string | undefined;
}

/**
 * Fits a run into `memory`, the value of --memory; null leaves it as it is. Throws E_FLAG if not
 * even the smallest step fits.
 */
export async function fittedRun(run: PreparedRun, memory: string | null): Promise<FittedPlan> {
  if (memory === null) return { run, note: undefined };
  const { config } = run;
  const device = deviceFor(config);
  const model = () => device.memoryModel(resolveDtype(config));
  const fitted = await fitMemory(run, bytesIn(memory), model);
  if ("run" in fitted) return { run: fitted.run, note: noteOf(fitted, memory) };
  const need = byteSize(fitted.least.memory);
  const rule = `${memory} is too little: one example at a time with --checkpointing needs ${need}`;
  throw errors.flag("memory", rule, "lower --max-length, or use a smaller model");
}

// --- internal ---

function noteOf({ run, changed, needs }: FittedRun, memory: string): string {
  const need = `about ${byteSize(needs.memory)} of the ${memory} of --memory`;
  const choices = choicesOf(changed, run);
  return choices.length === 0
    ? `the run needs ${need} as it is`
    : `the run needs ${need} with ${choices.join(" ")}: every step has the same examples`;
}

function choicesOf(
  { microBatch, checkpointing, evalBatchSize }: Partial<MemorySettings>,
  { config }: PreparedRun,
): string[] {
  return [
    ...(microBatch === undefined ? [] : [`--micro-batch ${config.microBatch}`]),
    ...(checkpointing === undefined ? [] : ["--checkpointing"]),
    ...(evalBatchSize === undefined ? [] : [`--eval-batch-size ${evalBatchSize}`]),
  ];
}
