import { isIgnored } from "../core/ignored-signal.ts";
import { type ExitCode, exitNow, type Report } from "./report.ts";

/** The signals that stop a run, and the exit codes that shells give them. */
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const satisfies Record<
  string,
  ExitCode
>;

type StopSignal = keyof typeof exitCodes;

const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const satisfies readonly StopSignal[];

/** The variable that names the process whose end stops this one: that of a comparison. */
export const PARENT = "ADALORA_PARENT";

/** A request to stop, while its signals are handled: `using stop = listenForStop(report)`. */
export interface StopRequest extends Disposable {
  /** Whether a signal has arrived: save a checkpoint and stop. */
  readonly isRequested: boolean;
  /** The exit code of a program that stopped on that signal; undefined without one. */
  readonly exitCode: ExitCode | undefined;
}

/**
 * Handles SIGINT, SIGTERM and SIGHUP: the first requests the job to stop at its next chance, a
 * second one exits immediately. SIGHUP is left alone where it is ignored, as under nohup. Handlers
 * run between turns of the event loop, so the job must await regularly.
 */
export function listenForStop(report: Report, end: typeof exitNow = exitNow): StopRequest {
  let first: StopSignal | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    const signal = stopSignals.find((one) => one === name) ?? "SIGINT";
    if (first !== undefined) end(exitCodes[signal]);
    first = signal;
    report.warn(`${name}: saving a checkpoint, then stopping; a second signal exits now`);
  };
  const handled = stopSignals.filter((name) => name !== "SIGHUP" || !isIgnored(name));
  for (const name of handled) process.on(name, onSignal);
  const parent = Number(process.env[PARENT] ?? Number.NaN);
  const watch = Number.isNaN(parent)
    ? undefined
    : setInterval(() => {
        if (process.ppid !== parent && first === undefined) onSignal("SIGTERM");
      }, 200);
  watch?.unref();
  return {
    get isRequested() {
      return first !== undefined;
    },
    get exitCode() {
      return first && exitCodes[first];
    },
    [Symbol.dispose]() {
      for (const name of handled) process.off(name, onSignal);
      clearInterval(watch);
    },
  };
}
