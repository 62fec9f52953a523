import { trainErrors } from "../../core/train/train-errors.ts";
import { differencesFromStored } from "../run-config.ts";
import { kebab } from "../names.ts";
import type { Job } from "./run-jobs.ts";

/** A job of a comparison that is about to start or continue. */
export interface PlannedJob extends Pick<Job, "config" | "out"> {
  /** Whether its learning rate is still to be picked. */
  readonly isRatePending: boolean;
}

/**
 * Checks before anything runs that every run that a comparison finds in its folders has the
 * settings that it would have now. Throws E_RESUME.
 */
export async function checkStoredRuns(jobs: readonly PlannedJob[]): Promise<void> {
  for (const { out, config, isRatePending } of jobs) {
    const differing = (await differencesFromStored(out, config)) ?? [];
    const names = differing.filter((name) => !(isRatePending && name === "lr"));
    if (names.length === 0) continue;
    throw trainErrors.otherRun(
      out,
      names.map((name) => (name === "tuneFraction" ? "--held-out" : `--${kebab(name)}`)),
    );
  }
}

/** Throws E_RESUME where an arm's run was trained at another rate than the one picked for it. */
export async function checkPickedRate({ out, config }: Pick<Job, "config" | "out">): Promise<void> {
  const differing = (await differencesFromStored(out, config)) ?? [];
  if (differing.includes("lr")) throw trainErrors.otherPickedRate(out, config.lr);
}
