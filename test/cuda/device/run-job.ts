import { spawn } from "node:child_process";
import { constants } from "node:os";
import { atExit } from "../../../scripts/setup/at-exit.ts";

/** A process whose output lines that are JSON objects are results. */
export interface Job {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Most seconds; its part may have fewer left. */
  readonly seconds?: number;
}

/** How a job ended. */
export interface Ended {
  readonly status: "ok" | "failed" | "skipped" | "timed out";
  readonly seconds: number;
  /** Of one that is not ok: the end of its messages. */
  readonly message?: string;
}

/** Takes what a job prints, as it comes. */
export interface Sink {
  result(value: object): void;
  log(text: string): void;
}

/** Exit status of a job that this machine can't run; its message says why. */
export const SKIPPED = 3;

/** Begins messages that say what a job is doing. */
export const DOING = "... ";

/** What is kept of a job's messages for its result. */
const MESSAGE_CHARS = 1500;
/** How long the output of a job that has ended may still come, from processes that it left. */
const DRAIN_MS = 500;

/**
 * Runs a job in a session of its own, which is killed as a whole after `seconds`, and where this
 * process is ended before. A process that can't be killed, as one that hangs in the driver, is left
 * behind.
 */
export async function runJob(job: Job, seconds: number, sink: Sink): Promise<Ended> {
  const started = performance.now();
  const { promise, resolve } = Promise.withResolvers<Exit>();
  const [file = "", ...args] = job.command;
  let pid: number | undefined;
  const forget = atExit(() => killSession(pid)); // a signal may come as soon as the job runs
  const child = spawn(file, args, {
    detached: true,
    env: { ...process.env, ...job.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  pid = child.pid;
  const messages = textEnd(MESSAGE_CHARS);
  const lines = lineSplitter((line) => {
    const value = objectIn(line);
    if (value === undefined) sink.log(`${line}\n`);
    else sink.result(value);
  });
  child.stdout.on("data", (chunk: Buffer) => lines.add(chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => {
    messages.add(chunk.toString());
    sink.log(chunk.toString());
  });
  child.on("error", (error) => resolve({ error: error.message }));
  child.on("exit", (code, signal) => {
    const drain = setTimeout(() => resolve({ code, signal }), DRAIN_MS);
    child.on("close", () => {
      clearTimeout(drain);
      resolve({ code, signal });
    });
  });
  const limit = setTimeout(() => {
    killSession(pid);
    resolve({ timedOut: true });
  }, 1000 * seconds);
  const exit = await promise;
  forget();
  clearTimeout(limit);
  lines.end();
  killSession(pid); // whatever the job has left running
  return ended(exit, messages.text(), (performance.now() - started) / 1000);
}

// --- internal ---

interface Exit {
  readonly code?: number | null;
  readonly signal?: NodeJS.Signals | null;
  readonly timedOut?: true;
  readonly error?: string;
}

function ended(exit: Exit, messages: string, elapsed: number): Ended {
  const seconds = Math.round(elapsed * 100) / 100;
  const lines = messages.trim().split("\n");
  const end = lines.filter((line) => !line.startsWith(DOING)).join("\n");
  if (exit.timedOut) return { status: "timed out", seconds, message: lines.slice(-3).join("\n") };
  if (exit.error !== undefined) return { status: "failed", seconds, message: exit.error };
  if (exit.signal) {
    const signal = `ended by ${exit.signal} (${constants.signals[exit.signal]})`;
    return { status: "failed", seconds, message: `${signal}\n${end}`.trim() };
  }
  if (exit.code === 0) return { status: "ok", seconds };
  if (exit.code === SKIPPED) return { status: "skipped", seconds, message: end };
  return { status: "failed", seconds, message: end === "" ? `exit status ${exit.code}` : end };
}

function killSession(pid: number | undefined) {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // all of it has ended
  }
}

/** A JSON object; undefined for other text. */
function objectIn(line: string): object | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function lineSplitter(take: (line: string) => void) {
  let rest = "";
  return {
    add(text: string) {
      const parts = `${rest}${text}`.split("\n");
      rest = parts.pop() ?? "";
      for (const part of parts) take(part);
    },
    end() {
      if (rest !== "") take(rest);
      rest = "";
    },
  };
}

/** The last characters of a text. */
function textEnd(most: number) {
  let end = "";
  return {
    add: (text: string) => void (end = `${end}${text}`.slice(-most)),
    text: () => end,
  };
}
