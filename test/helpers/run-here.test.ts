import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runHere } from "./run-here.ts";

const folder = mkdtempSync(join(tmpdir(), "run-here-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a command that imports a plugin of this code. */
function running(name: string, code: string) {
  const file = join(folder, name);
  writeFileSync(file, code);
  const words = ["plugin", "list", "--plugin", file];
  return runHere(words, { program: "adalora", cwd: folder, env: { ADALORA_DEBUG: "" } });
}

const state = () => ({
  argv: process.argv,
  cwd: process.cwd(),
  env: { ...process.env },
  exit: Reflect.get(process, "exit") as unknown,
  exitCode: process.exitCode ?? 0,
});

test("a command's changes of the process end with it", async () => {
  const before = state();
  const code =
    'process.exitCode = 3; process.chdir("/"); process.env.MORE = "1"; throw new Error("no");';
  expect(await running("changes.ts", code)).toMatchObject({ code: 1 });
  expect(state()).toEqual(before);
});

test("a command that would end the process fails instead", async () => {
  const { code, stderr } = await running("exits.ts", "process.exit(0);");
  expect([code, stderr]).toEqual([1, expect.stringContaining("process.exit(0) within a test")]);
});

test("a handler that stays is an error, and so is a folder that is not there", async () => {
  const before = state();
  const onInterrupt = 'process.on("SIGINT", function left() {}); throw new Error("no");';
  await expect(running("handles.ts", onInterrupt)).rejects.toThrow(
    "the command left handlers: SIG",
  );
  for (const one of process.listeners("SIGINT"))
    if (one.name === "left") process.off("SIGINT", one);
  const nowhere = { program: "adalora", cwd: join(folder, "none"), env: {} };
  await expect(runHere(["--version"], nowhere)).rejects.toThrow("ENOENT");
  expect(state()).toEqual(before);
});
