import { counted, findings, type PluginFinding } from "./finding.ts";
import { largestDifference, logitsOf, ROUNDING, type Subject } from "./subject.ts";

const { ok, fail } = findings("first tokens");

/**
 * Checks that an observed pass, which computes all rows of the last layer, gives the logits of one
 * that may compute first tokens only.
 */
export function checkFirstTokens(subject: Subject): PluginFinding {
  const observed: string[] = [];
  const whole = logitsOf(subject, { observe: (state) => void observed.push(state) });
  const difference = largestDifference(whole, logitsOf(subject));
  if (difference <= ROUNDING) {
    const states =
      observed.length === 0 ? "" : `, which shows ${counted(observed.length, "state")}`;
    return ok(`the logits of an observed pass${states}`);
  }
  const message = `an observed pass gives other logits: they differ by ${difference.toExponential(1)}`;
  const hint =
    "the last layer's first rows need the same residual, attention and norm as in the whole layer; what follows them must read the same rows";
  return fail(message, hint);
}
