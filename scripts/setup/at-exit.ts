import { constants } from "node:os";
import { isIgnored } from "../../core/ignored-signal.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const pending = new Set<() => void>();

/**
 * Calls `work` if the process exits or is ended by a signal (not SIGKILL) before the function that
 * this returns has been called. The work that was added last comes first.
 */
export function atExit(work: () => void): () => void {
  if (pending.size === 0) listen();
  pending.add(work);
  return () => {
    pending.delete(work);
    if (pending.size === 0) stopListening();
  };
}

// --- internal ---

let handled: readonly NodeJS.Signals[] = [];

function listen() {
  handled = SIGNALS.filter((name) => !isIgnored(name));
  for (const name of handled) process.on(name, end);
  process.on("exit", runAll);
}

function stopListening() {
  for (const name of handled) process.off(name, end);
  process.off("exit", runAll);
}

/** Exits with the code that shells give a signal. */
const end = (signal: NodeJS.Signals) => process.exit(128 + constants.signals[signal]);

function runAll() {
  for (const work of [...pending].toReversed()) {
    try {
      work();
    } catch {
      // the rest is done all the same
    }
  }
}
