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

/** What a process of the program would have had of its own. */
export interface Surroundings {
  /** The path that it would have been started by. */
  readonly program: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Runs a command line in this process, as the program does in one of its own: a tiny run takes a
 * third of the processor time, since the program is loaded and its loops are compiled already.
 * Calls wait for each other, as they change the process's folder, environment and arguments.
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
  const before = { argv: process.argv, cwd: process.cwd(), env: { ...process.env } };
  process.argv = [process.execPath, program, ...args];
  process.chdir(cwd);
  setEnvironment(env);
  try {
    const code = await main(args, { open: (o) => createReport({ ...o, stdout, stderr }) });
    return { code, stdout: stdout.text, stderr: stderr.text };
  } finally {
    setEnvironment(before.env);
    process.chdir(before.cwd);
    process.argv = before.argv;
  }
}

function setEnvironment(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
}
