/** The golden cases: outputs, gradients and whole trajectories of transformers, PEFT and loralib. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { readGoldenCase } from "../../../../core/model/golden-case.ts";
import { checkCase } from "../../../golden/check.ts";
import { openTarget } from "../target.ts";
import { checkItems } from "./items.ts";
import { runAsJob } from "./job.ts";

const CASES = join(import.meta.dir, "../../../golden/cases");

/** Two that the emulated device computes in seconds. */
const SMALL = ["03-qa-types", "05-masking-table"];

await runAsJob((flags) =>
  checkItems(flags, async () => {
    const backend = await openTarget(flags);
    const names = readdirSync(CASES, { withFileTypes: true })
      .flatMap((entry) => (entry.isDirectory() ? entry.name : []))
      .toSorted();
    const chosen = flags.small ? names.filter((name) => SMALL.includes(name)) : names;
    const items = chosen.map((name) => ({
      name,
      async check() {
        const result = await checkCase(backend, readGoldenCase(join(CASES, name)), flags.dtype);
        if (result.status === "fail") throw new Error(result.reason ?? "fails");
        return { ...result };
      },
    }));
    return { backend, items };
  }),
);
