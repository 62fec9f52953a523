/**
 * Every kernel against the reference, at each alignment. `--only "add;linears, without rows"`: the
 * last case of an entry, or the case of a name. `--quick`: with the kernels of the families that
 * compile fast.
 */
import { createReferenceBackend } from "../../../../core/backend/reference.ts";
import { type Case, cases } from "../../../conformance/cases.ts";
import { checkConformance } from "../../../conformance/run.ts";
import { openTarget } from "../target.ts";
import { checkItems, totals } from "./items.ts";
import { emit, type Flags, runAsJob } from "./job.ts";

/** Of every so many cases one runs in a small check. */
const SMALL_STEP = 60;

/** Families whose kernels compile within seconds all together. */
const QUICK = ["chosen-rows", "columns", "elementwise", "layer-norm", "optimizer", "rows"];

await runAsJob((flags) =>
  checkItems(flags, async () => {
    const reference = createReferenceBackend();
    const backend = await openTarget(flags, flags.quick ? { families: QUICK } : {});
    const worst = totals();
    const chosen = chosenCases(flags);
    const items = chosen.map((one, i) => ({
      name: one.name,
      check() {
        try {
          worst.add(one.entry, checkConformance(backend, reference, one));
          return {};
        } finally {
          if (i === chosen.length - 1) emit({ largestErrors: worst.largest() });
        }
      },
    }));
    return { backend, items };
  }),
);

function chosenCases({ only, small }: Flags): readonly Case[] {
  if (only === undefined) return small ? cases.filter((_, i) => i % SMALL_STEP === 0) : cases;
  return only.split(";").map((word) => {
    const found = cases.findLast(({ entry, name }) => entry === word || name === word);
    if (found === undefined) throw new Error(`neither an entry nor a case is called ${word}`);
    return found;
  });
}
