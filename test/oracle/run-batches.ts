/** Prints the ids and classes of each step of the runs that continue PEFT's adapters: `bun run-batches.ts NAME`. */
import { prepareRun } from "../../core/run/prepare.ts";
import { continuedRun, continuedRuns } from "../helpers/continued-runs.ts";
import { localSources } from "../helpers/local-run.ts";
import { batchesOf } from "../helpers/run-batches.ts";

const name = process.argv[2] ?? "";
if (!Object.hasOwn(continuedRuns, name)) throw new Error(`no run ${name}`);
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked above
const config = await continuedRun(name as keyof typeof continuedRuns);
console.log(JSON.stringify(batchesOf(await prepareRun(config, localSources))));
