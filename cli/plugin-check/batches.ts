import { type Example, reordered, withHole } from "./examples.ts";
import { findings, type PluginFinding } from "./finding.ts";
import { largestDifference, logitsOf, ROUNDING, type Subject } from "./subject.ts";

const { ok, fail } = findings("batches");

/** Checks that a sequence's logits depend neither on its batch nor on its place there. */
export function checkBatches(subject: Subject): PluginFinding {
  const { examples } = subject;
  const [longest] = examples;
  for (const [what, set] of [
    ["", examples],
    [", with a hole in its mask", examples.map(withHole)],
  ] as const) {
    const alone = set.map((example) => logitsOf(subject, { examples: [example] }));
    const packed = splitLogits(subject, set);
    const reversed = splitLogits(subject, set.toReversed()).toReversed();
    const row = alone.findIndex(
      (logits, i) =>
        largestDifference(logits, packed[i] ?? []) > ROUNDING ||
        largestDifference(logits, reversed[i] ?? []) > ROUNDING,
    );
    if (row < 0) continue;
    const difference = Math.max(
      largestDifference(alone[row] ?? [], packed[row] ?? []),
      largestDifference(alone[row] ?? [], reversed[row] ?? []),
    );
    const message = `the logits of a sequence${what} depend on its batch: they differ by ${difference.toExponential(1)} alone and packed`;
    const hint =
      "read positions from batch.positions and rows from batch.offsets, not from a row's index in the batch";
    return fail(message, hint);
  }
  if (longest && ignoresPositions(subject, longest)) {
    const message = `the order of tokens matters, but batch.positions does not`;
    const hint =
      "take positions from batch.positions, which keep their values where a mask has holes; positions counted from the row's index do not";
    return fail(message, hint);
  }
  return ok(`the same alone and packed, in any order, with holes in the mask`);
}

// --- internal ---

/** The logits of each example of a batch. */
function splitLogits(subject: Subject, examples: readonly Example[]): readonly Float64Array[] {
  const logits = logitsOf(subject, { examples });
  const { rowsOf } = subject.runner;
  const width = subject.kind.task === "generation" ? subject.limits.vocabSize : subject.labels;
  let at = 0;
  return examples.map((example) => {
    const from = at;
    at += rowsOf(example) * width;
    return logits.subarray(from, at);
  });
}

/** Whether order matters and positions do not: they were taken from the rows' indices. */
function ignoresPositions(subject: Subject, example: Example): boolean {
  const of = (one: Example) => {
    const logits = logitsOf(subject, { examples: [one] });
    // The row of the first token, the only one that stays in its place.
    return subject.kind.task === "span" ? logits.subarray(0, subject.labels) : logits;
  };
  const logits = of(example);
  const hasOrder = largestDifference(logits, of(reordered(example))) > ROUNDING;
  return hasOrder && largestDifference(logits, of(withHole(example))) <= ROUNDING;
}
