import { AdaloraError } from "../../errors.ts";

/** Why an adapter's start cannot be computed from the data. */
export const startErrors = {
  /** The frozen model computes NaN or Infinity on training data. */
  inputNotFinite(path: string, batch: number) {
    return new AdaloraError(
      "E_NOT_FINITE",
      `--start eva: the inputs of ${path} must be finite: got NaN or Infinity in batch ${batch}`,
      { hint: "check the model's weights; --start paper does not run the model" },
    );
  },

  /** Every batch has fewer tokens than the rank. */
  batchBelowRank(path: string, rank: number, rows: number) {
    return new AdaloraError(
      "E_FLAG",
      `--start eva needs a batch of at least ${rank} tokens, the initial rank: ${path} got at most ${rows}`,
      { hint: "raise --batch-size or lower --init-rank" },
    );
  },
};
