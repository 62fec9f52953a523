import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeExampleModel } from "./example-model.ts";

const project = join(import.meta.dir, "../../..");
const root = realpathSync(mkdtempSync(join(tmpdir(), "plugin-check-command-")));
afterAll(() => rmSync(root, { recursive: true, force: true }));
writeExampleModel("distilbert", join(root, "model"));

/** Runs `adalora plugin check` in the scratch folder. */
function run(...words: string[]) {
  const env = { PATH: process.env["PATH"] ?? "", HOME: join(root, "home") };
  const command = [process.execPath, join(project, "cli/main.ts"), "plugin", "check", ...words];
  const ran = Bun.spawnSync(command, { cwd: root, env, stdin: "ignore" });
  return { code: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
}

const example = readFileSync(join(project, "examples/plugins/distilbert.ts"), "utf8");
const LIMIT_MS = 60_000;

describe("plugin check", () => {
  test(
    "of a file that passes exits with 0, and names what it checked",
    () => {
      writeFileSync(join(root, "right.ts"), example);
      const { code, out, err } = run("./right.ts", "--model", "model", "--json");
      expect([code, err]).toEqual([0, ""]);
      const { ok, findings } = JSON.parse(out);
      expect(ok).toBe(true);
      expect(findings).toContainEqual({
        check: "weights",
        level: "ok",
        message: "40 keys: 40 mapped to parameters, 0 ignored",
      });
      const increments = { check: "increments", task: "span", level: "ok" };
      expect(findings).toContainEqual(expect.objectContaining(increments));
    },
    LIMIT_MS,
  );

  test(
    "of a file with a mistake exits with 1, and says what to change",
    () => {
      const wrong = example.replace(/scope\.child\("distilbert"\)/, 'scope.child("distilBert")');
      expect(wrong).not.toBe(example);
      writeFileSync(join(root, "wrong.ts"), wrong);
      const { code, out, err } = run("./wrong.ts", "--model", "model");
      expect([code, err]).toEqual([1, ""]);
      expect(out).toContain("fail  weights");
      expect(out).toContain("change: ");
      expect(out).toMatch(/\n\d+ failures/);
    },
    LIMIT_MS,
  );

  test(
    "without a file takes the family that handles the model, and compares recorded outputs",
    () => {
      const golden = join(project, "test/golden/cases/04-bart");
      const { code, out } = run("--model", golden, "--golden", golden);
      expect(code).toBe(0);
      expect(out).toContain("ok    golden          generation: logits and 6 hidden states");
    },
    LIMIT_MS,
  );

  test("without a model is a wrong command line", () =>
    expect(run("./right.ts")).toMatchObject({
      code: 1,
      err: expect.stringContaining("no model given"),
    }));
});
