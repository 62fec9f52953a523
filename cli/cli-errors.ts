import { AdaloraError } from "../core/errors.ts";

/** What only the command line refuses or reports. */
export const cliErrors = {
  unknownCommand(name: string, known: readonly string[], nearest: string | undefined) {
    const guess = nearest === undefined ? "" : `did you mean ${nearest}? `;
    return new AdaloraError("E_COMMAND", `unknown command "${name}"`, {
      hint: `${guess}commands: ${known.join(", ")}`,
    });
  },

  unknownRecipe(name: string, known: readonly string[], nearest: string | undefined) {
    const guess = nearest === undefined ? "" : `did you mean ${nearest}? `;
    return new AdaloraError("E_RECIPE", `no recipe or configuration file "${name}"`, {
      hint: `${guess}recipes: ${known.join(", ")}`,
    });
  },

  /** The name of a task for the user's own data, given instead of a recipe or file. */
  taskNotRecipe(name: string) {
    return new AdaloraError("E_RECIPE", `${name} is a task for your own data, not a recipe`, {
      hint: `give it as --task ${name}, with --model and --data`,
    });
  },

  /** A name that is not a local path, with the hub's error for it. */
  neitherLocalNorHub(name: string, { code, message, hint, cause }: AdaloraError) {
    return new AdaloraError(code, message, {
      hint: `${hint === undefined ? "" : `${hint}; `}there is no local path ${name} either`,
      cause,
    });
  },

  /** A run's folder that another process is writing to; `holder`: which one, if known. */
  folderInUse(
    folder: string,
    holder: { readonly pid: number; readonly host: string; readonly since: string } | undefined,
  ) {
    const who = holder && `: process ${holder.pid} on ${holder.host}, since ${holder.since}`;
    return new AdaloraError("E_OUT", `${folder} is in use by another run${who ?? ""}`, {
      hint: "wait until it ends, stop it, or write elsewhere with --out DIR",
    });
  },

  /** The user stopped a run, after it saved a checkpoint. */
  interrupted(step: number, command: string) {
    const when = step === 0 ? "before the first step" : `after step ${step}`;
    return new AdaloraError("E_INTERRUPTED", `interrupted ${when}`, {
      hint: `${command} continues from there`,
    });
  },

  /** Several runs of one command that a signal stopped. */
  interruptedRuns(command: string) {
    return new AdaloraError("E_INTERRUPTED", "interrupted: not all runs are finished", {
      hint: `${command} continues from there`,
    });
  },

  /** A child process that failed; `signal`: what killed it, if anything did. */
  process(command: string, output: string, signal: string | number | null) {
    const last = output.trim().split("\n").slice(-3);
    const end = signal === null ? "failed" : `was killed by ${signal}`;
    const outOfMemory = "the system kills processes when memory runs out";
    return new AdaloraError("E_PROCESS", `${command} ${end}`, {
      hint: signal === "SIGKILL" ? outOfMemory : undefined,
      details: last.filter((line) => line.trim() !== ""),
    });
  },
};
