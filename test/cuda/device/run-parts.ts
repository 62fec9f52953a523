import type { Results } from "./results.ts";
import { type Ended, type Job, runJob } from "./run-job.ts";

/** A named part of the whole, and the processes that it consists of. */
export interface Part {
  readonly name: string;
  /** Most seconds for all of its jobs. */
  readonly seconds: number;
  readonly jobs: readonly Job[];
  /** Whether nothing else can run where it fails. */
  readonly required?: true;
}

/** Less than this is no time to start a job. */
const LEAST_SECONDS = 1;

/**
 * Runs the parts in order until `seconds` are over, and adds each result at once. A part that fails
 * or takes too long does not stop the others, unless it is required. Returns whether all are ok:
 * what this machine can't run, or has no time for, is.
 */
export async function runParts(
  parts: readonly Part[],
  { seconds, results, say }: { seconds: number; results: Results; say: (text: string) => void },
): Promise<boolean> {
  const end = performance.now() + 1000 * seconds;
  let isOk = true;
  for (const part of parts) {
    const status = await runPart(part, end, results, say);
    isOk &&= status;
    if (part.required && !status) break;
  }
  return isOk;
}

// --- internal ---

async function runPart(
  { name, seconds, jobs }: Part,
  wholeEnd: number,
  results: Results,
  say: (text: string) => void,
): Promise<boolean> {
  const end = Math.min(wholeEnd, performance.now() + 1000 * seconds);
  let isOk = true;
  for (const job of jobs) {
    const left = (end - performance.now()) / 1000;
    const ended = left < LEAST_SECONDS ? late : await runTimed(name, job, left, results);
    results.add({ part: name, ...ended });
    say(shown(name, ended));
    isOk &&= ended.status === "ok" || ended.status === "skipped";
  }
  return isOk;
}

const late: Ended = { status: "skipped", seconds: 0, message: "no time is left" };

function runTimed(part: string, job: Job, left: number, results: Results): Promise<Ended> {
  const seconds = Math.min(left, job.seconds ?? Infinity);
  results.log(`--- ${part}: ${job.command.join(" ")}\n`);
  return runJob(job, seconds, {
    result: (value) => results.add({ part, ...value }),
    log: (text) => results.log(text),
  });
}

function shown(part: string, { status, seconds, message = "" }: Ended): string {
  const last = message.split("\n").at(-1) ?? "";
  return `${part.padEnd(20)}${status.padEnd(10)}${seconds.toFixed(1).padStart(6)} s  ${last}`;
}
