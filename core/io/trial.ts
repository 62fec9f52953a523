import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";
import { writeFileAtomic } from "./atomic.ts";
import { cacheFolder } from "./cache-folder.ts";
import { TRIAL_COMMAND } from "./trial-command.ts";

/**
 * A file from a stranger for a library that may crash, hang or fill the memory on it: the bytes, and
 * how they will be read.
 */
export interface Trial {
  readonly kind: "tokenizer" | "parquet footer" | "parquet columns";
  readonly bytes: Uint8Array;
  /** The columns to be decoded. */
  readonly columns?: readonly string[];
}

/** The line before a trial's bytes on the child's standard input. */
export interface TrialHeader {
  readonly kind: Trial["kind"];
  readonly size: number;
  readonly columns: readonly string[];
}

/**
 * Reads the bytes in a process of its own, with limits for processor time and memory that grow with
 * their number. Returns why they cannot be read; undefined when they can, which is remembered in the
 * user's cache, so a file is tried once.
 */
export async function trialFault(trial: Trial): Promise<string | undefined> {
  const mark = markOf(trial);
  if (mark !== undefined && existsSync(mark)) return undefined;
  const result = queue.then(() => runTrial(trial));
  queue = result.catch(() => undefined);
  const fault = await result;
  if (fault === undefined && mark !== undefined) remember(mark);
  return fault;
}

// --- internal ---

// Incremented when a library or the limits change.
const VERSION = 1;
const CPU_SECONDS = 2;
const CPU_SECONDS_PER_BYTE = 2e-6; // gzip in JavaScript takes 0.5 s a megabyte on a good machine
const MEMORY = 600e6; // of the whole process, in bytes
const MEMORY_PER_BYTE = 20;
const REUSED_BELOW = 250e6; // bytes of a child that tries another file
const WAIT_SECONDS = 60; // for a child that does nothing, or cannot be measured
const IDLE_MS = 500;
const POLL_MS = 15;

let queue: Promise<unknown> = Promise.resolve();

/** The file in the cache that says that these bytes have been read; undefined without a cache. */
function markOf({ kind, bytes, columns = [] }: Trial): string | undefined {
  const cache = cacheFolder();
  if (cache === undefined) return undefined;
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(JSON.stringify([VERSION, kind, columns, bytes.length])).update(bytes);
  return join(cache, "tried", hash.digest("hex"));
}

function remember(mark: string): void {
  try {
    writeFileAtomic(mark, "");
  } catch {
    // Without a cache the file is tried again next time.
  }
}

type Child = Bun.Subprocess<"pipe", "pipe", "ignore">;

let idle: Child | undefined;

async function runTrial(trial: Trial): Promise<string | undefined> {
  const child = idle !== undefined && usage(idle).memory < REUSED_BELOW ? idle : startChild();
  if (child !== idle) idle?.kill("SIGKILL");
  idle = undefined;
  child.ref();
  const limits = {
    cpu: usage(child).cpu + CPU_SECONDS + CPU_SECONDS_PER_BYTE * trial.bytes.length,
    memory: MEMORY + MEMORY_PER_BYTE * trial.bytes.length,
  };
  const started = performance.now();
  let exceeded: string | undefined;
  const watch = setInterval(() => {
    const { cpu, memory } = usage(child);
    const waited = (performance.now() - started) / 1000;
    if (cpu > limits.cpu || waited > WAIT_SECONDS + 20 * limits.cpu)
      exceeded ??= "reading it takes too long for its size";
    if (memory > limits.memory) exceeded ??= "reading it takes too much memory for its size";
    if (exceeded !== undefined) child.kill("SIGKILL");
  }, POLL_MS);
  try {
    const answer = await ask(child, trial);
    if (answer === undefined) return exceeded ?? "reading it crashes the library";
    keep(child);
    return answer === "" ? undefined : answer;
  } finally {
    clearInterval(watch);
  }
}

/** Sends a trial. Returns the child's answer, "" for success; undefined when it ended instead. */
async function ask(child: Child, { kind, bytes, columns = [] }: Trial) {
  const header: TrialHeader = { kind, size: bytes.length, columns };
  const reader = child.stdout.getReader();
  try {
    await child.stdin.write(`${JSON.stringify(header)}\n`);
    await child.stdin.write(bytes);
    await child.stdin.flush();
    let line = "";
    const decoder = new TextDecoder();
    while (!line.endsWith("\n")) {
      const { value } = await reader.read();
      if (value === undefined) return undefined;
      line += decoder.decode(value, { stream: true });
    }
    const answer: unknown = JSON.parse(line);
    return typeof answer === "string" ? cutText(answer, 200) : undefined;
  } catch {
    return undefined; // a broken pipe: the child has ended
  } finally {
    reader.releaseLock();
  }
}

/** Keeps a child for the next file; it ends soon, or with this process. */
function keep(child: Child): void {
  idle = child;
  child.unref();
  setTimeout(() => {
    if (idle !== child) return;
    idle = undefined;
    child.kill("SIGKILL");
  }, IDLE_MS).unref();
}

function startChild(): Child {
  const isBuilt = import.meta.dir.startsWith("/$bunfs");
  const program = isBuilt
    ? [TRIAL_COMMAND]
    : ["--no-env-file", "--no-install", join(import.meta.dir, "../data/trial-process.ts")];
  // No core file of a crash, and an end for a child whose parent was killed.
  const shell = ["/bin/sh", "-c", 'ulimit -c 0; ulimit -t 900; exec "$0" "$@"'];
  try {
    return Bun.spawn([...shell, process.execPath, ...program], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      env: { ...process.env, BUN_OPTIONS: undefined },
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const rule = `cannot start a process to try a file in: ${cutText(reason)}`;
    throw errors.machine(rule, "free some memory or processes and run again");
  }
}

/** Processor seconds and resident bytes of a process; zero when it has ended. */
function usage({ pid }: Child): { cpu: number; memory: number } {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ");
    const [user, system, pages] = [fields[11], fields[12], fields[21]].map(Number);
    return { cpu: (user! + system!) / 100, memory: pages! * 4096 };
  } catch {
    return { cpu: 0, memory: 0 };
  }
}
