import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { runResults } from "../helpers/run-results.ts";
import { commandTest, cpu } from "./command.ts";

const { run, start, training, path, hinted } = commandTest();

/** Checkpoints often, so that there is something to fall back on. */
const saving = { "save-steps": 3, "save-limit": 2 };
/** For runs whose results are compared with no other's. */
const short = { ...saving, "max-steps": 12 };
const whole = path("whole");
/** A run that was killed after its checkpoint of step 9. */
const killed = path("killed");

beforeAll(async () => {
  expect((await run(training({ ...saving, out: whole }))).code).toBe(0);
  const started = start(training({ ...saving, out: killed }));
  await started.signalAfter("checkpoint after step 9", "SIGKILL");
  await started.ended;
});

/** All that a run computed. */
function resultsOf(out: string): unknown {
  const { results, spent } = runResults(out);
  expect(spent.every((one) => one > 0)).toBe(true);
  return results;
}

describe("a run that is interrupted", () => {
  test("in a folder whose name a shell would split is resumed by the command of the hint", async () => {
    const out = "it's a $run";
    const started = start(training({ ...short, out }));
    await started.signalAfter("step  5/12", "SIGINT");
    const resumed = await hinted((await started.ended).stderr);
    expect([resumed.code, resumed.stderr]).toEqual([0, expect.stringContaining("resuming after")]);
  });

  test("among several seeds is resumed by the command of the hint, with its seeds", async () => {
    const out = path("seeds");
    const args = training({ ...short, seeds: "1,2", out });
    args.splice(args.indexOf("--seed"), 2);
    const started = start(args);
    await started.signalAfter("step  5/12", "SIGINT");
    const { code, stderr } = await started.ended;
    expect(code).toBe(130);
    const resumed = await hinted(stderr);
    expect([resumed.code, resumed.stdout]).toEqual([
      0,
      expect.stringContaining("standard deviation over seeds 1, 2"),
    ]);
  });

  test("by SIGINT saves a checkpoint, exits with 130, and ends as if it had not been", async () => {
    const out = path("interrupted");
    const started = start(training({ ...saving, out }));
    await started.signalAfter("step 10/24", "SIGINT");
    const { code, stdout, stderr } = await started.ended;
    expect([code, stdout]).toEqual([130, ""]);
    expect(stderr).toMatch(
      /warn {2}SIGINT: saving a checkpoint[^]*checkpoint after step (\d+)\nerror {2}interrupted after step \1\n {2}hint: .+ run --resume --out .*interrupted continues from there\n$/,
    );
    expect(existsSync(join(out, "metrics.json"))).toBe(false);
    const resumed = await run(["run", "--resume", "--out", out]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toMatch(/^resuming after step \d+$/m);
    expect(resultsOf(out)).toEqual(resultsOf(whole));
  });

  test("with --json still prints one object, as an error", async () => {
    const out = path("interrupted-json");
    const started = start(training({ out, json: true }));
    await started.signalAfter("step  5/24", "SIGTERM");
    const { code, stdout } = await started.ended;
    expect(code).toBe(143);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "E_INTERRUPTED" } });
  });

  test("twice exits at once", async () => {
    const out = path("twice");
    const started = start(training({ ...saving, "max-steps": 4000, out }));
    await started.signalAfter("step    4/4000", "SIGINT");
    await started.signalAfter("SIGINT: saving", "SIGINT");
    expect((await started.ended).code).toBe(130);
  });

  test("by kill -9 ends the same when it is resumed from its folder alone", async () => {
    const out = path("continued");
    cpSync(killed, out, { recursive: true });
    const { code, stderr } = await run(["run", "--resume", "--out", out]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^resuming after step (9|12)$/m)]);
    expect(resultsOf(out)).toEqual(resultsOf(whole));
  });

  test("before its first checkpoint starts anew when it is resumed, and says so", async () => {
    const out = path("early");
    const started = start(training({ ...saving, out }));
    await started.signalAfter("step  1/24", "SIGKILL");
    await started.ended;
    const { code, stderr } = await run(training({ ...saving, out, resume: true }));
    expect(code).toBe(0);
    expect(stderr).toContain("no checkpoint to resume from: starting from the beginning\n");
    expect(resultsOf(out)).toEqual(resultsOf(whole));
  });
});

describe("--resume", () => {
  test("with a damaged checkpoint continues from the one before, and names it", async () => {
    const out = path("damaged");
    cpSync(killed, out, { recursive: true });
    const [newest = ""] = readdirSync(join(out, "checkpoints")).toSorted().toReversed();
    const state = join(out, "checkpoints", newest, "state.safetensors");
    truncateSync(state, 100);
    const { code, stderr } = await run(training({ ...saving, out, resume: true }));
    expect(code).toBe(0);
    expect(stderr).toContain(`warn  ${join(out, "checkpoints", newest)}`);
    expect(stderr).toMatch(/resuming after step \d+\n/);
    expect(resultsOf(out)).toEqual(resultsOf(whole));
  });

  test("of a folder that is empty or not there starts anew", async () => {
    const out = path("empty");
    mkdirSync(out);
    const { code, stderr } = await run(training({ ...saving, out, resume: true }));
    expect([code, stderr]).toEqual([0, expect.stringContaining("starting from the beginning\n")]);
    expect(resultsOf(out)).toEqual(resultsOf(whole));
  });

  test("of a finished run gives its result again, and changes nothing", async () => {
    const before = resultsOf(whole);
    const again = await run(training({ ...saving, out: whole, resume: true, json: true }));
    expect(again.code).toBe(0);
    expect(again.stderr).toBe("the run is finished: there is nothing to resume\n");
    const { metrics, best } = JSON.parse(readFileSync(join(whole, "metrics.json"), "utf8"));
    expect(JSON.parse(again.stdout)).toMatchObject({ steps: 24, metrics, best });
    expect(resultsOf(whole)).toEqual(before);
    const text = await run(["run", "--resume", "--out", whole]);
    expect(text.stdout).toContain("12 of 36 ranks kept");
  });

  test("of a run with other settings is refused, and names them", async () => {
    const before = resultsOf(whole);
    const { code, stderr } = await run(training({ lr: 0.1, seed: 6, out: whole, resume: true }));
    expect(code).toBe(1);
    expect(stderr).toStartWith(`error  ${whole}: was written by a run with another --lr, --seed\n`);
    expect(resultsOf(whole)).toEqual(before);
  });

  test("without a recipe needs a run in --out", async () => {
    const { code, stderr } = await run(["run", "--resume", "--out", path("nowhere")]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("nowhere does not exist: there is no run"),
    ]);
  });
});

describe("--overwrite", () => {
  test("deletes nothing before everything was checked", async () => {
    const before = resultsOf(whole);
    const bad = { ...saving, out: whole, overwrite: true } as const;
    for (const flags of [
      { "init-warmup": "90%" },
      { model: path("data") },
      { dtype: "bf16", device: "reference" },
    ]) {
      expect((await run(training({ ...bad, ...flags }))).code).toBe(1);
      expect(resultsOf(whole)).toEqual(before);
    }
  });

  test("replaces a run, whatever it left, and nothing else", async () => {
    const out = path("replaced");
    await run(training({ ...saving, out, "max-steps": 8 }));
    await Bun.write(join(out, "notes.txt"), "mine");
    expect((await run(training({ ...saving, out }))).code).toBe(1);
    expect((await run(training({ ...saving, out, overwrite: true }))).code).toBe(0);
    expect(resultsOf(out)).toEqual(resultsOf(whole));
    expect(readFileSync(join(out, "notes.txt"), "utf8")).toBe("mine");
  });
});

test.skipIf(cpu.backend === undefined)("the CPU backend resumes to the same bits too", async () => {
  const flags = { ...saving, device: "cpu", threads: 2 };
  const [uncut, cut] = [path("cpu-whole"), path("cpu-cut")];
  await run(training({ ...flags, out: uncut }));
  const started = start(training({ ...flags, out: cut }));
  await started.signalAfter("checkpoint after step 6", "SIGKILL");
  await started.ended;
  expect((await run(training({ ...flags, out: cut, resume: true }))).code).toBe(0);
  expect(resultsOf(cut)).toEqual(resultsOf(uncut));
});
