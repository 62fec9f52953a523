import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listRuns } from "../../cli/list-runs.ts";
import { whileLocked } from "../../cli/run-lock.ts";
import { runsText } from "../../cli/runs-text.ts";
import { fakeOutput } from "./fake-output.ts";
import { accuracyAt, writeRun } from "./report-page/written-run.ts";

const scratch = mkdtempSync(join(tmpdir(), "adalora-runs-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const folder = (name: string) => join(scratch, name);
writeRun(folder("a finished one"));
writeRun(folder("seeds/seed-2"), { steps: 20, planned: 40, isFinished: false });
writeRun(folder("seeds/seed-10"), { config: { seed: 10, method: "lora" } });
mkdirSync(folder("no run"));
writeFileSync(join(folder("no run"), "notes.txt"), "");

test("lists runs with their state, and the command that resumes a stopped one", async () => {
  const listed = await listRuns(scratch);
  expect(listed).toMatchObject([
    {
      folder: folder("a finished one"),
      task: "rte",
      method: "adalora",
      state: "finished",
      step: 40,
      resume: null,
    },
    { folder: folder("seeds/seed-2"), state: "stopped", step: 20, steps: 40 },
    { folder: folder("seeds/seed-10"), method: "lora", seed: 10, state: "finished" },
  ]);
  const [first, second] = listed;
  expect(first?.metric).toEqual({ split: "validation", name: "accuracy", value: 0.75 });
  expect(first?.ranks).toEqual({ kept: 11, initial: 12 });
  expect(second?.metric?.value).toBe(accuracyAt(20, 20));
  expect(second?.resume).toEndWith(`run --resume --out ${folder("seeds/seed-2")}`);
});

test("a run whose folder another process has locked is running", async () => {
  await whileLocked(folder("seeds/seed-2"), async () => {
    expect((await listRuns(folder("seeds"))).map(({ state }) => state)).toEqual([
      "running",
      "finished",
    ]);
  });
  const script = join(import.meta.dir, "../../cli/run-lock.ts");
  const code = `const { whileLocked } = await import(${JSON.stringify(script)});
    await whileLocked(process.argv[1], async () => { console.log("locked"); await Bun.stdin.text(); });`;
  const child = Bun.spawn([process.execPath, "-e", code, folder("seeds/seed-2")], {
    stdin: "pipe",
    stdout: "pipe",
  });
  await child.stdout.getReader().read();
  const [running] = await listRuns(folder("seeds"));
  await child.stdin.end();
  await child.exited;
  expect(running).toMatchObject({ state: "running", resume: null });
  const [stopped] = await listRuns(folder("seeds"));
  expect(stopped?.state).toBe("stopped");
});

test("is shown as a table, with commands that can be pasted", async () => {
  const output = fakeOutput();
  const text = runsText(await listRuns(scratch), scratch, output);
  expect(text).toContain("stopped at step 20 of 40");
  expect(text).toContain("11 of 12");
  expect(text).toContain(`\n\nto resume:\n  `);
  expect(runsText([], "runs", output)).toBe("no runs in runs");
});

test("a run that cannot be read is listed with the reason, beside the others", async () => {
  const out = mkdtempSync(join(tmpdir(), "adalora-unreadable-"));
  writeRun(join(out, "good"));
  writeRun(join(out, "torn"));
  rmSync(join(out, "torn", "log.jsonl"));
  mkdirSync(join(out, "torn", "log.jsonl"));
  const listed = await listRuns(out);
  rmSync(out, { recursive: true });
  expect(listed.map(({ state }) => state)).toEqual(["finished", "unreadable"]);
  expect(runsText(listed, out, fakeOutput())).toMatch(
    /unreadable: .*torn\/log\.jsonl: is a folder, not a file$/m,
  );
});
