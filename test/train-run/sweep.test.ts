import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { commandTest } from "./command.ts";

const { run, runProcess, start, task, path, home } = commandTest();
setDefaultTimeout(900_000); // many processes, on a machine that may be busy

/** `sweep rte` with the tiny model on the reference backend; 12 steps, the first rung 4. */
const sweeping = (out: string, ...flags: string[]) => [
  ...`sweep rte --model ${task.model} --data ${task.data} --max-steps 12 --batch-size 8`.split(" "),
  ..."--init-rank 2 --dropout 0 --warmup-steps 1 --held-out 0.3".split(" "),
  ...`--save-steps 3 --device reference --halving --out ${out}`.split(" "),
  ...flags,
];
const text = (...parts: string[]) => readFileSync(join(...parts), "utf8");

describe("a sweep without pruning, at a constant rate", () => {
  const whole = path("whole");
  const flags = [
    "--method",
    "lora",
    "--schedule",
    "constant",
    "--lr",
    "0.02,0.1",
    "--eval-steps",
    "3",
  ];

  test("continues the better run, whose beginning is a run of that length", async () => {
    const { code, stdout, stderr } = await runProcess(sweeping(whole, ...flags));
    expect([code, stderr]).toEqual([0, expect.stringContaining("a rung continues the runs")]);
    const {
      configurations,
      best,
      command,
      held_out: heldOut,
    } = JSON.parse(text(whole, "sweep.json"));
    const [first, second] = configurations;
    expect([best, first.name, heldOut]).toEqual([first.name, best, 0.3]);
    expect(first.rungs.map(({ steps }: { steps: number }) => steps)).toEqual([4, 12]);
    expect(second.rungs).toHaveLength(1);
    expect(first.rungs[0].value).toBeGreaterThanOrEqual(second.rungs[0].value);
    expect(stdout).toContain(`${command.join(" ")}\n`);
    expect(text(whole, "report.html")).toContain(`<th scope="row">${first.name}`);
    expect(command.slice(-2)).toEqual(["--lr", String(first.settings.lr)]);
    // The better run is whole and chosen by 6 of the 20 training rows; the other one is paused.
    const folder = join(whole, `lr-${first.settings.lr}`, "run");
    expect(text(folder, "predictions.jsonl").trimEnd().split("\n")).toHaveLength(6);
    const paused = join(whole, `lr-${second.settings.lr}`, "run");
    expect(readdirSync(join(paused, "checkpoints"))).toContain("step-4");
    expect(existsSync(join(paused, "metrics.json"))).toBe(false);
    expect(JSON.parse(text(paused, "config.json")).evalSteps).toBe(3);
    // The command prepares two data sets, and no process tokenizes another.
    expect(readdirSync(join(home, "cache/adalora/tokens"))).toHaveLength(4);
    const alone = path("alone");
    const short = ["--max-steps", "4", "--eval-steps", "100", "--report-to", "csv"];
    const again = await run(["run", join(paused, "config.json"), ...short, "--out", alone]);
    const { metrics } = JSON.parse(text(alone, "metrics.json"));
    expect(text(alone, "metrics.csv")).toMatch(/^step,task_loss,.*\/accuracy.*\n4,/);
    expect([again.code, Object.values(metrics)]).toEqual([
      0,
      [expect.objectContaining({ accuracy: second.rungs[0].value })],
    ]);
  });

  test("that is killed twice ends in the same bytes, two runs at a time", async () => {
    const out = path("killed");
    const args = sweeping(out, ...flags, "--jobs", "2", "--resume");
    for (const line of ["run 2 of 2", "rung 2 of 2"]) {
      const started = start(args);
      await started.signalAfter(line, "SIGKILL");
      await started.ended;
    }
    const { code, stderr } = await runProcess(args);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    expect(text(out, "sweep.json")).toBe(text(whole, "sweep.json"));
  });
});

test("a sweep of runs that prune trains each rung from scratch", async () => {
  const out = path("scratch");
  const flags = [
    "--lr",
    "0.02,0.03",
    "--target-rank",
    "1",
    "--mask-interval",
    "1",
    "--eval-steps",
    "100",
  ];
  const { code, stdout, stderr } = await runProcess(
    sweeping(out, ...flags, "--init-warmup", "2", "--final-warmup", "4"),
  );
  expect([code, stderr]).toEqual([0, expect.stringContaining("each rung trains from scratch")]);
  expect(stdout).toContain("best configuration:\n");
  const { configurations } = JSON.parse(text(out, "sweep.json"));
  const [first] = configurations;
  expect(configurations.map(({ rungs }: { rungs: unknown[] }) => rungs.length)).toEqual([2, 1]);
  const config = (rung: number) =>
    JSON.parse(text(out, first.name.replaceAll(/[ =]/g, "-"), `rung-${rung}`, "config.json"));
  expect([config(1).maxSteps, config(2).maxSteps]).toEqual([4, 12]);
  expect([config(1).finalWarmup, config(2).finalWarmup]).toEqual([`${100 * (4 / 12)}%`, 4]);
});
