import { expect, test } from "bun:test";
import { join } from "node:path";
import { readJsonLog } from "../helpers/json-log.ts";
import { runResults } from "../helpers/run-results.ts";
import { commandTest } from "./command.ts";

const { run, start, training, path } = commandTest();
const byCost = (flags: Record<string, string | number | true>) =>
  training({ "save-steps": 3, "save-limit": 2, start: "lora", budget: 500, ...flags }, [
    "target-rank",
  ]);

test("--budget counts parameters: in the log, in the files, and exact in a run that was killed", async () => {
  const whole = path("whole");
  expect((await run(byCost({ out: whole }))).code).toBe(0);
  const budgets = readJsonLog(join(whole, "log.jsonl")).flatMap(({ budget: b }) =>
    typeof b === "number" ? [b] : [],
  );
  expect(budgets.at(-1)).toBe(500);
  expect(budgets[0]).toBeGreaterThan(1000);
  const adapter = join(whole, "adapter");
  const { stdout } = await run(["inspect", adapter, "--json"]);
  const size = JSON.parse(stdout).size.adalora;
  expect(size.parameters).toBeLessThanOrEqual(500);
  expect(size.parameters).toBeGreaterThan(450);

  const killed = path("killed");
  const started = start(byCost({ out: killed }));
  await started.signalAfter("checkpoint after step 12", "SIGKILL");
  await started.ended;
  const other = await run(byCost({ "budget-unit": "ranks", out: killed, resume: true }));
  expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("--budget-unit")]);
  expect((await run(["run", "--resume", "--out", killed])).code).toBe(0);
  expect(runResults(killed).results).toEqual(runResults(whole).results);
});

test("plan shows the phases in parameters", async () => {
  const [, recipe = "", ...flags] = byCost({});
  const { stdout } = await run(["plan", recipe, ...flags]);
  expect(stdout).toMatch(/final +\d+–24 +500 parameters\n/);
  expect(stdout).toMatch(/adapter +[\d,]+ to 500 parameters/);
});
