import type { RunConfig } from "../config/run-config.ts";
import type { MemoryModel } from "../device.ts";
import { type RunNeeds, runNeeds } from "./needs.ts";
import type { PreparedRun } from "./prepare.ts";

/** Settings that trade time for memory without changing what a step learns from. */
export type MemorySettings = Pick<RunConfig, "microBatch" | "checkpointing" | "evalBatchSize">;

/** A run that fits, and its needs. */
export interface FittedRun {
  readonly run: PreparedRun;
  readonly needs: RunNeeds;
  /** What was chosen; empty if the run fitted as it was. */
  readonly changed: Partial<MemorySettings>;
}

/** Settings with the least memory, and what they still need. */
export interface Unfitting {
  readonly least: RunNeeds;
}

/**
 * Chooses micro-batches, checkpointing and the evaluation batch so that a run takes at most `limit`
 * bytes. Every step keeps its examples: a batch is only computed in parts. The cheapest choice that
 * fits wins: micro-batches first, from half a batch down to one example; then checkpointing, which
 * computes every layer twice, again with the largest micro-batches. `memoryModel` makes a new model
 * of the device's memory.
 */
export async function fitMemory(
  run: PreparedRun,
  limit: number,
  memoryModel: () => Promise<MemoryModel>,
): Promise<FittedRun | Unfitting> {
  const { microBatch, batchSize, evalBatchSize, checkpointing } = run.config;
  const own = { microBatch, checkpointing, evalBatchSize };
  const needsOf = async (settings: MemorySettings) =>
    runNeeds(withSettings(run, settings), await memoryModel());
  const fits = async (settings: MemorySettings) => (await needsOf(settings)).memory <= limit;
  const needs = await needsOf(own);
  if (needs.memory <= limit) return { run, needs, changed: {} };
  const sizes = halvings(Math.min(batchSize, microBatch ?? batchSize));
  const training = await firstFitting(trainingChoices(sizes, checkpointing), (choice) =>
    fits({ ...choice, evalBatchSize: 1 }),
  );
  if (training === undefined) {
    return { least: await needsOf({ microBatch: 1, checkpointing: true, evalBatchSize: 1 }) };
  }
  const evaluation = await firstFitting([halvings(evalBatchSize)], (size) =>
    fits({ ...training, evalBatchSize: size }),
  );
  const chosen = { ...training, evalBatchSize: evaluation ?? 1 };
  const fitted = withSettings(run, chosen);
  return {
    run: fitted,
    needs: await needsOf(chosen),
    changed: differences(own, chosen, batchSize),
  };
}

// --- internal ---

const withSettings = (run: PreparedRun, settings: MemorySettings): PreparedRun => ({
  ...run,
  config: { ...run.config, ...settings },
});

/** A size, half of it and so on, down to 1. */
function halvings(size: number): readonly number[] {
  return size === 1 ? [1] : [size, ...halvings(Math.ceil(size / 2))];
}

type TrainingChoice = Pick<MemorySettings, "microBatch" | "checkpointing">;

/** Lists of choices, each from the most memory to the least. */
function trainingChoices(
  sizes: readonly number[],
  isCheckpointed: boolean,
): readonly (readonly TrainingChoice[])[] {
  const choices = (checkpointing: boolean) =>
    sizes.map((microBatch) => ({ microBatch, checkpointing }));
  return isCheckpointed ? [choices(true)] : [choices(false), choices(true)];
}

/**
 * The first choice that fits, in the first list that has one. Bisects: in a list every choice needs
 * at most the memory of the one before.
 */
async function firstFitting<T>(
  lists: readonly (readonly T[])[],
  fits: (choice: T) => Promise<boolean>,
): Promise<T | undefined> {
  for (const list of lists) {
    const last = list.at(-1);
    if (last === undefined || !(await fits(last))) continue;
    let [low, high] = [0, list.length - 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (await fits(list[middle]!)) high = middle;
      else low = middle + 1;
    }
    return list[high];
  }
  return undefined;
}

function differences(
  own: MemorySettings,
  chosen: MemorySettings,
  batchSize: number,
): Partial<MemorySettings> {
  const isSplit = chosen.microBatch !== (own.microBatch ?? batchSize);
  return {
    ...(isSplit ? { microBatch: chosen.microBatch } : {}),
    ...(chosen.checkpointing === own.checkpointing ? {} : { checkpointing: true }),
    ...(chosen.evalBatchSize === own.evalBatchSize ? {} : { evalBatchSize: chosen.evalBatchSize }),
  };
}
