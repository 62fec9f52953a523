import { expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { tinyRows } from "../cli/tiny-task.ts";
import { briefProcess } from "../helpers/brief-process.ts";
import { screenOf } from "../helpers/screen.ts";
import { commandTest } from "./command.ts";

const { path, run, task, training } = commandTest();

const program = resolve(import.meta.dir, "../../cli/main.ts");
/** A validation split whose evaluation takes seconds. */
const data = path("long");
mkdirSync(data);
cpSync(join(task.data, "train.tsv"), join(data, "train.tsv"));
writeFileSync(join(data, "dev.tsv"), tinyRows(300));

/** Starts a run in a terminal of 60 columns. */
function inTerminal(args: readonly string[], onText: (text: string) => void = () => {}) {
  let text = "";
  const child = Bun.spawn([process.execPath, program, ...args], {
    env: { ...process.env, ...briefProcess, XDG_CACHE_HOME: path("cache"), TERM: "xterm", CI: "" },
    terminal: {
      cols: 60,
      rows: 24,
      data(_, bytes) {
        text += new TextDecoder().decode(bytes);
        onText(text);
      },
    },
  });
  return { child, text: () => text };
}

test("a terminal of 60 columns shows start-up, steps and evaluations, each on one line", async () => {
  const flags = { data, out: path("live"), "max-steps": 4, "eval-batch-size": 4 };
  const { child, text } = inTerminal(training(flags));
  expect(await child.exited).toBe(0);
  const shown = text().replaceAll("\r\x1b[2K", "\n").split(/\r?\n/);
  for (const part of [
    /^reading the data$/,
    /^tokenizing validation, 300 rows$/,
    /^reading the weights$/,
    /^step 4\/4 .* left$/,
    /^evaluating validation +\d+\/300 +\d+% .*left$/,
  ])
    expect(shown.find((line) => part.test(line))).toBeDefined();
  const live = shown.filter((line) => line.endsWith("left"));
  expect(Math.max(...live.map(({ length }) => length))).toBeLessThan(60);
  for (const part of [/^━+$/, /^loss {4}\S+ {2}\d/, /^ranks {3}query \d/, /^memory {2}\d/])
    expect(shown.find((line) => part.test(stripVTControlCharacters(line)))).toBeDefined();
  expect(screenOf(text(), 60).filter((line) => isOfPanel.test(line))).toEqual([]);
});

/** The lines of a run's panel. */
const isOfPanel = /^(step +\d+\/|[━─┿┼]+$|(loss|metric|budget|ranks) {2,4}\S|memory {2}\d)/;

test("Ctrl-C leaves a screen without the panel", async () => {
  const flags = { out: path("stopped"), "max-steps": 20_000, "eval-steps": 20_000 };
  let isStopped = false;
  const { child, text } = inTerminal(training(flags), (shown) => {
    if (isStopped || !/^memory +\d/m.test(stripVTControlCharacters(shown).replaceAll("\r", "")))
      return;
    isStopped = true;
    child.terminal?.write("\x03");
  });
  expect(await child.exited).toBe(130);
  const screen = screenOf(text(), 60);
  expect(screen.filter((line) => isOfPanel.test(line))).toEqual([]);
  expect(screen.join("\n")).toContain("error  interrupted after step");
});

test("a terminal that is closed stops the run with a checkpoint", async () => {
  const out = path("closed");
  const flags = { out, "max-steps": 20_000, "eval-steps": 20_000 };
  const begun = Promise.withResolvers<void>();
  const { child } = inTerminal(training(flags), (text) => {
    if (/step +\d+\/20000/.test(text)) begun.resolve();
  });
  await begun.promise;
  child.terminal?.close();
  expect(await child.exited).toBe(129);
  expect(existsSync(join(out, "checkpoints"))).toBe(true);
  expect((await run(["run", "--resume", "--out", out, "--max-steps", "1"])).code).toBe(1);
});

test("a terminal shows which weights predict takes, where there is a choice", async () => {
  const out = path("choice");
  const flags = { out, lr: 0.2, "eval-steps": 4, metric: "loss", seed: 3 };
  expect((await run(training(flags))).code).toBe(0);
  const words = ["predict", "--adapter", out, "--device", "reference", "the cat", "a cat"];
  const { child, text } = inTerminal(words);
  expect(await child.exited).toBe(0);
  expect(text()).toMatch(/weights: last \(step 24\); --which best takes those of step \d+\r?\n/);
});
