import { AdaloraError } from "../errors.ts";

/** Why a run's folder or adapter cannot be used or exported. */
export const runErrors = {
  /** A run's folder that is no longer at its path. */
  folderGone(folder: string) {
    return new AdaloraError(
      "E_OUT",
      `${folder} was moved or deleted while the run was writing to it`,
      { hint: "what was trained since the last checkpoint is lost" },
    );
  },

  /** A mapped file of weights that was changed in place. */
  changedFile(path: string) {
    return new AdaloraError("E_FILE", `${path}: was changed while the run was using it`, {
      hint: "--resume continues from the last checkpoint, once the file is as it was",
    });
  },

  /** The base model that an adapter names, with the reason why it cannot be opened. */
  baseModel(adapter: string, { code, message, cause }: AdaloraError) {
    return new AdaloraError(code, `cannot open the base model of ${adapter}: ${message}`, {
      hint: "give it with --model DIR or --model org/name",
      cause,
    });
  },

  /** Parameters that neither the model's files nor the adapter's contain. */
  untrained(
    where: string,
    names: readonly string[],
    { hasAdapter, trainedFor }: { hasAdapter: boolean; trainedFor: string | undefined },
  ) {
    const modules = [...new Set(names.map((name) => name.replace(/\.[^.]+$/, "")))].join(" and ");
    const both = hasAdapter ? ", nor does the adapter" : "";
    return new AdaloraError("E_UNTRAINED", `${where}: the model has no trained ${modules}${both}`, {
      hint: trainedFor
        ? `it was trained for ${trainedFor}: leave --task out`
        : hasAdapter
          ? "the adapter must have been saved with these modules (PEFT: modules_to_save)"
          : "give the adapter of a run with --adapter DIR, or a model that was fine-tuned for the task",
    });
  },

  /** --which best for a folder of weights by itself; `run`: the run's folder that it lies in. */
  noChoice(folder: string, run: string | undefined) {
    return new AdaloraError("E_FILE", `${folder}: holds one set of weights, not a run's two`, {
      hint: `--which best chooses in a run's folder${run === undefined ? "" : `, such as ${run}`}`,
    });
  },

  /** Weights that a run's folder lacks, where it has its others. */
  otherWeightsOnly(folder: string, which: "last" | "best", other: "last" | "best") {
    const why = which === "last" ? "the run has not ended" : "nothing was evaluated";
    return new AdaloraError("E_FILE", `${folder}: holds no ${which} weights: ${why}`, {
      hint: `--which ${other} takes the ${other} ones`,
    });
  },

  /** A conversion whose result computes other values than the adapter that it was made from. */
  conversion(what: string, difference: number, limit: number) {
    const rule = `must be at most ${limit.toExponential(1)}: got ${difference.toExponential(1)}`;
    return new AdaloraError("E_EXPORT", `the largest difference of ${what} ${rule}`, {
      hint: "nothing was written; the adapter's weights may be too large for f32, or damaged",
    });
  },
};
