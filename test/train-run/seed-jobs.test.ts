import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runResults } from "../helpers/run-results.ts";
import { commandTest } from "./command.ts";

const { run, runProcess, start, training, path, hinted } = commandTest();
setDefaultTimeout(900_000); // many processes, on a machine that may be busy

/** Two seeds of 12 steps. */
function seeds(out: string, flags: Record<string, string | number | true> = {}): string[] {
  const args = training({
    seeds: "1,2",
    "max-steps": 12,
    "save-steps": 3,
    "report-every": 0,
    ...flags,
    out,
  });
  args.splice(args.indexOf("--seed"), 2);
  return args;
}
const seedsJson = (out: string) => JSON.parse(readFileSync(join(out, "seeds.json"), "utf8"));
const resultsOf = (out: string) =>
  [1, 2].map((seed) => runResults(join(out, `seed-${seed}`)).results);

test("--jobs 2 runs two seeds at a time, with the results of one after another", async () => {
  const [alone, together, stopped] = ["alone", "together", "stopped"].map((name) => path(name));
  expect((await run(seeds(alone!))).code).toBe(0);
  const { code, stdout } = await runProcess(seeds(together!, { jobs: 2 }));
  expect([code, stdout]).toEqual([0, expect.stringContaining("deviation over seeds 1, 2")]);
  expect(seedsJson(together!)).toEqual(seedsJson(alone!));
  expect(resultsOf(together!)).toEqual(resultsOf(alone!));

  const started = start(seeds(stopped!, { jobs: 2 }));
  await started.signalAfter("run 2 of 2: seed 2", "SIGINT");
  const ended = await started.ended;
  expect(ended.code).toBe(130);
  expect((await hinted(ended.stderr)).code).toBe(0);
  expect(resultsOf(stopped!)).toEqual(resultsOf(alone!));

  const config = join(together!, "seed-1", "config.json");
  writeFileSync(config, readFileSync(config, "utf8").replace('"lr": 0.02', '"lr": 0.03'));
  const failed = await runProcess(seeds(together!, { jobs: 2, resume: true }));
  expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining("seed 1 failed")]);
  expect(seedsJson(together!).seeds).toEqual([2]);
});

test("--jobs without --seeds is refused", async () => {
  const { code, stderr } = await run(training({ jobs: 2 }));
  expect([code, stderr]).toEqual([1, expect.stringContaining("--seeds")]);
});
