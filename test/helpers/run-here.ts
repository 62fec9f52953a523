import process from "node:process";
import { main } from "../../cli/main.ts";
import { createReport } from "../../cli/report.ts";
import { fakeOutput } from "../cli/fake-output.ts";

/** A command that has ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a process of its own would give the command. */
export interface Surroundings {
  /** The program's path, `process.argv[1]`. */
  readonly program: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs a command line in this process, as the program does in one of its own: a tiny run takes a
 * third of the processor time, since the program is already loaded and its loops are compiled.
 * Calls wait for each other, as they change the process's folder, environment and arguments, and
 * put them back. Throws if the command leaves a handler of a signal or a stray error behind; in the
 * command, `process.exit` throws.
 */
export function runHere(args: readonly string[], surroundings: Surroundings): Promise<Ended> {
  const ended = last.then(() => runNow(args, surroundings));
  last = ended.catch(() => undefined);
  return ended;
}

// --- internal ---

let last: Promise<unknown> = Promise.resolve();

async function runNow(args: readonly string[], { program, cwd, env }: Surroundings) {
  const [stdout, stderr] = [fakeOutput(), fakeOutput()];
  const handlers = handlerCounts();
  const restore = keepState();
  try {
    process.exit = refuseExit;
    process.argv = [process.execPath, program, ...args];
    process.chdir(cwd);
    setEnvironment(env);
    const code = await main(args, { open: (o) => createReport({ ...o, stdout, stderr }) });
    const left = handlerCounts();
    if (left !== handlers) throw new Error(`the command left handlers: ${left}, not ${handlers}`);
    return { code, stdout: stdout.text, stderr: stderr.text };
  } finally {
    restore();
  }
}

/** Remembers what a command may change in the process; the result puts it back. */
function keepState(): () => void {
  const { argv, exitCode } = process;
  const exit: unknown = Reflect.get(process, "exit");
  const [cwd, env] = [process.cwd(), { ...process.env }];
  return () => {
    Object.assign(process, { argv, exit });
    process.exitCode = exitCode ?? 0; // undefined would keep the command's
    setEnvironment(env);
    process.chdir(cwd);
  };
}

/** Else a test would end here, and those after it with it. */
function refuseExit(code?: number | string | null): never {
  throw new Error(`process.exit(${code}) within a test`);
}

function handlerCounts(): string {
  const events = ["SIGINT", "SIGTERM", "SIGHUP", "uncaughtException", "unhandledRejection"];
  return events.map((event) => `${event} ${process.listenerCount(event)}`).join(", ");
}

function setEnvironment(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
}
