import { beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { commandTest } from "./command.ts";

const { run, runProcess, training, path, task } = commandTest();
const out = path("run");
const device = ["--device", "reference"];

beforeAll(async () => {
  expect((await run(training({ out }))).code).toBe(0);
});

/** Other files run these commands in the test's process, where something left open goes unnoticed. */
test("each command's process ends by itself, with its result alone on standard output", async () => {
  const commands = [
    ["eval", "--adapter", out, ...device],
    ["predict", "--adapter", out, "--input", join(task.data, "dev.tsv"), ...device],
    ["inspect", out, "--model", task.model],
    ["export", out, "--to", "lora", "-o", path("lora"), ...device],
    ["merge", out, "-o", path("merged"), ...device],
    ["push", out, "me/tiny", "--dry-run"],
    ["runs", path()],
  ].map((words) => [...words, "--json"]);
  const report = ["report", out, "-o", path("report.html")];
  const [page, ...ended] = await Promise.all(
    [report, ...commands].map((words) => runProcess(words)),
  );
  expect(page).toMatchObject({ code: 0 });
  expect(existsSync(path("report.html"))).toBe(true);
  for (const [i, { code, stdout, stderr }] of ended.entries()) {
    expect({ command: commands[i]![0], code, stderr }).toMatchObject({ code: 0 });
    for (const line of stdout.trimEnd().split("\n")) expect(JSON.parse(line)).toBeObject();
  }
});
