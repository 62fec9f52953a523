import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { findCompiler } from "../../ffi/cpu/compiler.ts";

/** Kinds of system calls that can get a fault: see inject.c. */
export const CALLS = ["write", "fsync", "truncate", "rename", "unlink", "mkdir"] as const;
export type Call = (typeof CALLS)[number];

/** What happens at a call: a kill before it or in the middle of it, or its failure. */
export type Fault = "kill" | "tear" | "ENOSPC" | "EIO";

/** A fault at the `nth` call of a kind on a file in a folder, counted from 1. */
export interface Injection {
  readonly call: Call;
  readonly nth: number;
  readonly fault: Fault;
}

/** Injects faults into commands. */
export interface Injector {
  /** The command line that runs a command with a fault; without one it only counts calls. */
  command(folder: string, injection: Injection | undefined, command: readonly string[]): string[];
  /** How many calls of each kind the last command made on files in its folder. */
  counts(): ReadonlyMap<string, number>;
}

/** Compiles the injector into a folder; returns the reason where this machine can't run it. */
export function createInjector(folder: string): Injector | string {
  const [program, report] = [join(folder, "inject"), join(folder, "calls")];
  const source = join(import.meta.dir, "inject.c");
  try {
    const { command } = findCompiler();
    const compiled = Bun.spawnSync([...command, "-O1", source, "-o", program]);
    if (!compiled.success) return `inject.c does not compile: ${compiled.stderr.toString().trim()}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const trial = Bun.spawnSync([program, report, folder, "write", "0", "kill", "true"]);
  if (!trial.success)
    return `no system calls can be intercepted: ${trial.stderr.toString().trim()}`;
  return {
    command(dir, injection, command) {
      const { call, nth, fault } = injection ?? { call: "write", nth: 0, fault: "kill" };
      const what = fault === "kill" || fault === "tear" ? fault : String(constants.errno[fault]);
      return [program, report, dir, call, String(nth), what, ...command];
    },
    counts() {
      const lines = readFileSync(report, "utf8").trim().split("\n");
      return new Map(
        lines.map((line) => {
          const [call = "", count] = line.split(" ");
          return [call, Number(count)] as const;
        }),
      );
    },
  };
}
