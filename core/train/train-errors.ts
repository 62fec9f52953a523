import { AdaloraError } from "../errors.ts";
import { firstOf } from "../excerpt.ts";

/** Values that are not finite, and checkpoints that cannot be resumed. */
export const trainErrors = {
  notFinite(
    { step, taskLoss, gradNorm }: { step: number; taskLoss: number; gradNorm: number },
    rows: readonly number[],
    checkpoints: string,
  ) {
    return new AdaloraError(
      "E_NOT_FINITE",
      `step ${step}: the loss must be finite: got loss ${taskLoss}, gradient norm ${gradNorm} (training rows ${firstOf(rows, 8)})`,
      {
        hint: `lower --lr, or inspect these rows; --resume continues from the last checkpoint in ${checkpoints}`,
      },
    );
  },

  /** The step's loss was finite, but its update was not; no checkpoint is written. */
  weightsNotFinite(step: number, checkpoints: string) {
    return new AdaloraError(
      "E_NOT_FINITE",
      `step ${step}: the trained weights must be finite: got NaN or Infinity, which is not saved`,
      { hint: `lower --lr; --resume continues from the last checkpoint in ${checkpoints}` },
    );
  },

  /**
   * An evaluation during training failed with E_NOT_FINITE. `checkpoints`: the folder that the
   * training state was saved to, undefined where it is not finite itself.
   */
  evaluationNotFinite(step: number, { code, message }: AdaloraError, checkpoints?: string) {
    return new AdaloraError(code, `evaluation after step ${step}: ${message}`, {
      hint: checkpoints
        ? `inspect these rows; --resume continues from the checkpoint of this step in ${checkpoints}`
        : "the trained weights are not finite either: lower --lr",
    });
  },

  /** `differing`: the names of the settings that differ; empty if the data may differ. */
  otherRun(where: string, differing: readonly string[] = []) {
    const what =
      differing.length === 0 ? "other settings or data" : `another ${differing.join(", ")}`;
    return new AdaloraError("E_RESUME", `${where}: was written by a run with ${what}`, {
      hint: "repeat the run's own command to resume it, or name another --out",
    });
  },

  /** A run of a comparison, trained at another rate than the one that is picked now. */
  otherPickedRate(where: string, picked: number) {
    const rule = `${where}: was trained at another learning rate than ${picked}, which is picked now`;
    return new AdaloraError("E_RESUME", rule, {
      hint: "repeat the --lr-grid of the comparison to resume it, or name another --out",
    });
  },

  /** A checkpoint of a run whose plugin has other bytes now. */
  changedPlugin(folder: string) {
    return new AdaloraError(
      "E_RESUME",
      `${folder}: was written with another version of the plugin`,
      {
        hint: "restore the plugin's files as they were, or start again with --overwrite or another --out",
      },
    );
  },

  /** A checkpoint without the digest that would show whether it was changed. */
  earlierCheckpoint(folder: string) {
    return new AdaloraError(
      "E_RESUME",
      `${folder}: was written by an earlier version of adalora, without a digest`,
      { hint: "finish the run with that version, or start it again with --overwrite" },
    );
  },
};
