import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { currentDirectory } from "../io/atomic.ts";
import { readFinishedRun } from "./finished-run.ts";
import { isFinishedRun, runFiles } from "./run-folder.ts";
import { runOf, type Which } from "./run-of.ts";

/** The choice among a run's weights. */
export interface WeightsOf {
  readonly which: Which;
  /** Their step, if the run has ended. */
  readonly step: number | undefined;
  /** The other choice, if it has other weights. */
  readonly other: { readonly which: Which; readonly step: number | undefined } | undefined;
}

/** Which weights a folder in a run's folder holds, by its name and the run's metrics. */
export function weightsOf(dir: string, which: Which): WeightsOf | undefined {
  const folder = runOf(dir);
  const isChosen = [runFiles.adapter, runFiles.model, runFiles.bestAdapter, runFiles.bestModel];
  if (folder === undefined || !isChosen.some((name) => name === basename(dir))) return undefined;
  const steps = isFinishedRun(folder) ? stepsOfRun(folder) : undefined;
  const named = basename(dir).startsWith("best_") ? "best" : "last";
  const used = { which: named, step: steps?.[named] } as const;
  const other = which === "last" ? "best" : "last";
  const otherDir = join(
    folder,
    basename(dir).replace(/^(best_)?/, other === "best" ? "best_" : ""),
  );
  const isSame = steps?.best !== undefined && steps.best === steps.last;
  const isChoice = named === which && !isSame && existsSync(currentDirectory(otherDir));
  return { ...used, other: isChoice ? { which: other, step: steps?.[other] } : undefined };
}

// --- internal ---

function stepsOfRun(folder: string): Record<Which, number | undefined> {
  const { steps, best } = readFinishedRun(folder);
  return { last: steps, best: best?.step };
}
