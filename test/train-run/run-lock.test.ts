import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { whileLocked } from "../../cli/run-lock.ts";
import { commandTest } from "./command.ts";

const { path, run, runProcess, start, training } = commandTest();

/** Is killed after a checkpoint, and resumed. */
const killed = { "max-steps": 8, "save-steps": 2 };
/** Ends only when it is stopped. */
const long = { "max-steps": 20_000, "eval-steps": 20_000 };

const inUse = (out: string) =>
  new RegExp(
    `error {2}${out} is in use by another run: process \\d+ on ${hostname()}, since 20[^\n]+Z\n`,
  );

describe("a folder", () => {
  test("that a run is writing to takes no second run, new or resumed, and the first one ends well", async () => {
    const out = path("one");
    const first = start(training({ out, ...long }));
    await first.after("step     3/20000");
    for (const more of [{ resume: true }, { overwrite: true }] as const) {
      const { code, stderr } = await run(training({ out, ...long, ...more }));
      expect([code, stderr]).toEqual([1, expect.stringMatching(inUse(out))]);
    }
    expect(existsSync(join(out, "config.json"))).toBe(true);
    await first.signalAfter("step     3/20000", "SIGINT");
    expect((await first.ended).code).toBe(130);
    expect(existsSync(join(out, ".lock"))).toBe(false);
  });

  test("in which two runs begin at once holds one of them, whole", async () => {
    const out = path("two");
    const both = await Promise.all([1, 2].map(() => runProcess(training({ out, "max-steps": 8 }))));
    expect(both.map(({ code }) => code).toSorted((a, b) => a - b)).toEqual([0, 1]);
    const refused = both.find(({ code }) => code === 1)?.stderr;
    expect(refused).toMatch(/is in use by another run|already holds a run/);
    const log = readFileSync(join(out, "log.jsonl"), "utf8").trimEnd().split("\n");
    const steps = log.map((line) => JSON.parse(line)).filter((record) => "task_loss" in record);
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 8 }, (_, i) => i + 1));
  });

  test("whose run was killed is free, though its lock file is there", async () => {
    const out = path("killed");
    const first = start(training({ ...killed, out }));
    await first.signalAfter("checkpoint after step 4", "SIGKILL");
    await first.ended;
    expect(existsSync(join(out, ".lock"))).toBe(true);
    expect((await run(training({ ...killed, out, resume: true }))).code).toBe(0);
    expect(existsSync(join(out, ".lock"))).toBe(false);
  });

  test("of several seeds takes no second command either", async () => {
    const out = path("seeds");
    const args = training({ out, seeds: "1,2", ...long });
    args.splice(args.indexOf("--seed"), 2);
    const first = start(args);
    await first.after("step     3/20000");
    const seed = await run(training({ out: join(out, "seed-1"), resume: true }));
    expect([seed.code, seed.stderr]).toEqual([
      1,
      expect.stringMatching(inUse(join(out, "seed-1"))),
    ]);
    const other = training({ out, seeds: "3", ...long });
    other.splice(other.indexOf("--seed"), 2);
    const seeds = await run(other);
    expect([seeds.code, seeds.stderr]).toEqual([1, expect.stringMatching(inUse(out))]);
    await first.signalAfter("step     3/20000", "SIGINT");
    await first.ended;
  });
});

test("a lock leaves no folder behind that nothing was written to, and keeps others", async () => {
  const folder = path("a", "b");
  await whileLocked(folder, () =>
    whileLocked(folder, async () => expect(readdirSync(folder)).toEqual([".lock"])),
  );
  expect(existsSync(path("a"))).toBe(false);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, ".lock"), "half a l"); // of a killed process
  await whileLocked(folder, async () =>
    expect(JSON.parse(readFileSync(join(folder, ".lock"), "utf8"))).toMatchObject({
      pid: process.pid,
      host: hostname(),
    }),
  );
  expect(readdirSync(folder)).toEqual([]);
});
