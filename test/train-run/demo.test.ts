import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readJsonLog } from "../helpers/json-log.ts";
import { commandTest } from "./command.ts";

const { home, hinted, path, run, start } = commandTest();

const sizes = "--device reference --limit 16 --batch-size 2 --mask-interval 1 --log-steps 1";
const short = (steps: number) => [...sizes.split(" "), "--max-steps", String(steps)];

describe("adalora run without a recipe", () => {
  test("trains the demo, its frozen model first, and compares them", async () => {
    const { code, stdout, stderr } = await run(["run", ...short(12), "--json"]);
    expect(stderr).toMatch(/the frozen model, head only\n[^]*step 12\/12 [^]*step 12\/12 /);
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ method: "adalora", steps: 12 });
    expect(result.frozen_baseline).toBeGreaterThan(0.3);
    const [folder = ""] = readdirSync(join(home, "runs"));
    expect(folder).toMatch(/^demo-\d{8}-\d{6}$/);
    const log = readJsonLog(join(home, "runs", folder, "log.jsonl"));
    const budgets = log.flatMap(({ budget }) => (typeof budget === "number" ? [budget] : []));
    expect([budgets[0], budgets.at(-1)]).toEqual([144, 96]);
    expect(new Set(budgets).size).toBeGreaterThan(4);
    const ranks: number[] = Object.values(result.ranks);
    expect(ranks.reduce((sum, rank) => sum + rank, 0)).toBe(96);
  });

  test("says that a folder is taken before it trains anything", async () => {
    const [folder = ""] = readdirSync(join(home, "runs"));
    const { code, stderr } = await run(["run", ...short(12), "--out", join("runs", folder)]);
    expect(code).toBe(1);
    expect(stderr).toContain(`${folder} already holds a run`);
    expect(stderr).not.toContain("first the baseline");
  });

  test("interrupted in its first part does not go on with the second, and can be resumed", async () => {
    const out = path("interrupted");
    const started = start(["run", ...short(12), "--out", out]);
    await started.signalAfter("step  4/12", "SIGINT");
    const { code, stderr } = await started.ended;
    expect(code).toBe(130);
    expect(stderr).toContain(` --resume continues from there`);
    expect(existsSync(join(out, "config.json"))).toBe(false);
    const resumed = await hinted(stderr);
    expect(resumed.stderr).toMatch(/resuming after step \d+\n/);
    expect(resumed.code).toBe(0);
    expect(resumed.stdout).toContain("frozen model, head only");
  });

  test("with several seeds is not compared, nor is one of them when it is resumed", async () => {
    const out = path("seeds");
    const { code, stdout } = await run(["run", "demo", ...short(6), "--seeds", "1", "--out", out]);
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/over seeds 1\n[^]*files in .*seeds\n/),
    ]);
    const one = await run(["run", "--resume", "--out", join(out, "seed-1")]);
    expect([one.code, one.stderr]).toEqual([
      0,
      expect.stringContaining("the run is finished: there is nothing to resume"),
    ]);
    expect(existsSync(join(out, "seed-1", "frozen"))).toBe(false);
  });
});
