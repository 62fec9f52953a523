import { afterAll, setDefaultTimeout } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { readJsonLog } from "../helpers/json-log.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { tinyTask } from "../cli/tiny-task.ts";
import { available } from "../helpers/available.ts";
import { briefProcess } from "../helpers/brief-process.ts";
import { type Ended, runHere } from "../helpers/run-here.ts";

const program = resolve(import.meta.dir, "../../cli/main.ts");

type Flags = Readonly<Record<string, string | number | true>>;

/** 24 steps of AdaLoRA, 3 an epoch: warm-up to step 5, final phase from step 18 on. */
const schedule: Flags = {
  "max-steps": 24,
  "init-warmup": "20%",
  "final-warmup": "30%",
  "mask-interval": 2,
  "init-rank": 3,
  "target-rank": 1,
  "batch-size": 8,
  lr: 0.02,
  "warmup-steps": 4,
  dropout: 0,
  "cls-dropout": 0.1,
  seed: 5,
  "eval-steps": 8,
  "log-steps": 1,
  device: "reference",
};

/** Flags as words of a command line. */
export const wordsOf = (flags: Flags) =>
  Object.entries(flags).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)],
  );

/** A command that runs: to be waited for, and to be signalled once it has said something. */
export interface Started {
  readonly ended: Promise<Ended>;
  /** Waits until stderr holds the text. */
  after(text: string): Promise<void>;
  /** Sends a signal when stderr holds the text. */
  signalAfter(text: string, signal: NodeJS.Signals): Promise<void>;
}

/** A tiny task in a folder of its own, and the real command with an empty home. */
export function commandTest() {
  setDefaultTimeout(180_000); // several processes a test, on a machine that may be busy
  const task = tinyTask();
  const home = join(task.folder, "home");
  mkdirSync(home);
  afterAll(() => rmSync(task.folder, { recursive: true, force: true }));

  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    XDG_CACHE_HOME: join(home, "cache"),
    HF_HUB_OFFLINE: "1",
  };

  function start(args: readonly string[], more: Record<string, string> = {}, input = ""): Started {
    const child = Bun.spawn([process.execPath, program, ...args], {
      cwd: home,
      env: { ...briefProcess, ...env, ...more },
      stdin: Buffer.from(input),
      stdout: "pipe",
      stderr: "pipe",
    });
    let stderr = "";
    const waiting: { text: string; done: () => void }[] = [];
    const listen = async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stderr) {
        stderr += decoder.decode(chunk, { stream: true });
        for (const { text, done } of waiting) if (stderr.includes(text)) done();
      }
      for (const { done } of waiting) done(); // it ended without a word: the test will tell
    };
    const after = async (text: string) => {
      if (stderr.includes(text)) return;
      await new Promise<void>((done) => void waiting.push({ text, done }));
    };
    const ended = Promise.all([child.exited, new Response(child.stdout).text(), listen()]);
    return {
      ended: ended.then(([code, stdout]) => ({ code, stdout, stderr })),
      after,
      async signalAfter(text, signal) {
        await after(text);
        child.kill(signal);
      },
    };
  }

  /** Runs the command that a hint names, in the shell and in the folder that the run began in. */
  async function hinted(stderr: string): Promise<Ended> {
    const command = /^ {2}hint: (.+) continues from there$/m.exec(stderr)?.[1];
    if (command === undefined) throw new Error(`no hint in ${stderr}`);
    const child = Bun.spawn(["sh", "-c", command], {
      cwd: home,
      env: { ...briefProcess, ...env },
      stdout: "pipe",
      stderr: "pipe",
    });
    const streams = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
    const [code, stdout, messages] = await Promise.all([child.exited, ...streams]);
    return { code, stdout, stderr: messages };
  }

  return {
    task,
    home,
    hinted,
    start,
    /** Runs a command to its end in this process; with standard input, in one of its own. */
    run: (args: readonly string[], more: Record<string, string> = {}, input?: string) =>
      input === undefined
        ? runHere(args, { program, cwd: home, env: { ...env, ...more } })
        : start(args, more, input).ended,
    /** Runs a command to its end in a process of its own. */
    runProcess: (args: readonly string[], more?: Record<string, string>) => start(args, more).ended,
    /** A path in the test's folder. */
    path: (...names: string[]) => join(task.folder, ...names),
    /** `run rte` with the tiny model, data and schedule; flags override, or leave out. */
    training: (flags: Flags = {}, without: readonly string[] = []) => {
      const all = { model: task.model, data: task.data, ...schedule, ...flags };
      const kept = Object.entries(all).filter(([name]) => !without.includes(name));
      return ["run", "rte", ...wordsOf(Object.fromEntries(kept))];
    },
  };
}

/** The CPU backend on this machine, or the reason why there is none. */
export const cpu = await available(() => createCpuBackend({ threads: 1 }));

/** The task losses in a run's log, step by step. */
export function lossesIn(out: string): number[] {
  const records = readJsonLog(join(out, "log.jsonl"));
  return records.flatMap(({ task_loss: loss }) => (typeof loss === "number" ? [loss] : []));
}

/** A line of predictions.jsonl. */
export interface Prediction {
  readonly index: number;
  readonly prediction: string | number;
  readonly label?: string | number;
  readonly probabilities?: Readonly<Record<string, number>>;
  readonly logits: readonly number[];
}

/** Lines of predictions. */
export const predictionsIn = (text: string): Prediction[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
