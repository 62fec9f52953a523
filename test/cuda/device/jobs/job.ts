import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { AdaloraError } from "../../../../core/errors.ts";
import { DOING, SKIPPED } from "../run-job.ts";

/** What this machine or device can't run, and why. */
export class Skip extends Error {}

/** Prints a result, at once: a process that is killed keeps it. */
export const emit = (value: object) => void writeSync(1, `${JSON.stringify(value)}\n`);

/** Prints a message: the last ones are the job's if it fails. */
export const say = (text: string) => void writeSync(2, `${text}\n`);

/** Says what a job is doing, for the message of one that takes too long. */
export const doing = (text: string) => say(`${DOING}${text}`);

/** Flags of the jobs. */
export interface Flags {
  /** "cuda", "cuda:1", "cuda-host" or "cpu". */
  readonly device: string;
  readonly dtype: "f32" | "bf16";
  /** Whether to do as little as shows that a job runs: for the emulated device. */
  readonly small: boolean;
  /** Which of several: a workload, or entries and cases of the backend. */
  readonly only: string | undefined;
  readonly from: number;
  readonly threads: number | undefined;
  /** Whether only the families that compile within seconds are needed. */
  readonly quick: boolean;
  /** A folder for files. */
  readonly scratch: string | undefined;
}

/** Runs a job's work with its flags, and ends the process by its result: false if it failed. */
export async function runAsJob(work: (flags: Flags) => Promise<boolean>): Promise<never> {
  try {
    process.exit((await work(flagsOf(process.argv.slice(2)))) ? 0 : 1);
  } catch (error) {
    if (error instanceof Skip) {
      say(error.message);
      process.exit(SKIPPED);
    }
    say(textOf(error));
    process.exit(1);
  }
}

/** What to print of an error: of a user's mistake its lines and hint, else the stack. */
export function textOf(error: unknown): string {
  if (error instanceof AdaloraError) return [...error.lines, error.hint ?? ""].join("\n").trim();
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

// --- internal ---

function flagsOf(args: readonly string[]): Flags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      device: { type: "string", default: "cuda" },
      dtype: { type: "string", default: "f32" },
      small: { type: "boolean", default: false },
      only: { type: "string" },
      from: { type: "string", default: "0" },
      threads: { type: "string" },
      quick: { type: "boolean", default: false },
      scratch: { type: "string" },
    },
  });
  return {
    device: values.device,
    dtype: values.dtype === "bf16" ? "bf16" : "f32",
    small: values.small,
    quick: values.quick,
    scratch: values.scratch,
    only: values.only,
    from: Number(values.from),
    threads: values.threads === undefined ? undefined : Number(values.threads),
  };
}
