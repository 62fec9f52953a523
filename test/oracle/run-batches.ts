/**
 * Prints what each step of a run trains on: `bun run-batches.ts NAME`, for a run that continues one of PEFT's tiny adapters, or
 * `bun run-batches.ts CONFIG.toml`, for any run of one batch a step.
 */
import { createReport } from "../../cli/report.ts";
import { resolveRun } from "../../cli/run-config.ts";
import { openSources } from "../../cli/sources.ts";
import { prepareRun } from "../../core/run/prepare.ts";
import { continuedRun, continuedRuns } from "../helpers/continued-runs.ts";
import { localSources } from "../helpers/local-run.ts";
import { batchesOf } from "../helpers/run-batches.ts";

const name = process.argv[2] ?? "";
console.log(JSON.stringify(batchesOf(await prepared())));

async function prepared() {
  if (Object.hasOwn(continuedRuns, name)) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked above
    const config = await continuedRun(name as keyof typeof continuedRuns);
    return prepareRun(config, localSources);
  }
  const sources = openSources(createReport({ json: false, quiet: true }));
  const { config } = await resolveRun(name, new Map(), sources);
  return prepareRun(config, sources);
}
