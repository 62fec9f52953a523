import { expect, test } from "bun:test";
import { join } from "node:path";
import { readJsonLog } from "../helpers/json-log.ts";
import { runResults } from "../helpers/run-results.ts";
import { commandTest, lossesIn } from "./command.ts";

const { run, start, training, path } = commandTest();
const saving = { "save-steps": 3, "save-limit": 2 };
// EVA measures inputs before the first step, and a resumed run not again.
const own = { ...saving, start: "eva", "lr-e": 0.2 };

test("--lr-e is E's rate: in the log, in the losses, and exact in a run that was killed", async () => {
  const whole = path("whole");
  expect((await run(training({ ...own, out: whole }))).code).toBe(0);
  const records = readJsonLog(join(whole, "log.jsonl")).filter(({ lr }) => lr !== undefined);
  expect(records).toHaveLength(24);
  for (const { lr, lr_e: ofE } of records) expect(ofE).toBeCloseTo(10 * Number(lr), 12);

  const common = path("common");
  expect((await run(training({ ...saving, start: "eva", out: common }))).code).toBe(0);
  expect(lossesIn(common)).not.toEqual(lossesIn(whole));
  expect(readJsonLog(join(common, "log.jsonl"))[0]).not.toHaveProperty("lr_e");

  const killed = path("killed");
  const started = start(training({ ...own, out: killed }));
  await started.signalAfter("checkpoint after step 9", "SIGKILL");
  await started.ended;
  const other = await run(training({ ...own, "lr-e": 0.3, out: killed, resume: true }));
  expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("--lr-e")]);
  expect((await run(["run", "--resume", "--out", killed])).code).toBe(0);
  expect(runResults(killed).results).toEqual(runResults(whole).results);
});

test("--lr-e of a method without E, or a rate of 0, is refused", async () => {
  const lora = await run(
    training({ method: "lora", "lr-e": 0.2 }, [
      "init-rank",
      "target-rank",
      "init-warmup",
      "final-warmup",
      "mask-interval",
    ]),
  );
  expect(lora.stderr).toContain("--lr-e");
  expect(lora.stderr).toContain("methods that use it: adalora, svd-lora");
  expect((await run(training({ "lr-e": 0 }))).stderr).toContain("--lr-e");
});
