import { exitNow, type Report } from "./report.ts";

/** A user's wish to stop, for as long as it is listened for: `using stop = listenForStop(report)`. */
export interface StopRequest extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM: save a checkpoint and end. */
  readonly signal: AbortSignal;
}

/**
 * Listens for SIGINT and SIGTERM: the first asks the job to stop after its current step, a second one exits now
 * with 130. Handlers run between two turns of the event loop, so the job must await something now and then.
 */
export function listenForStop(report: Report, end: typeof exitNow = exitNow): StopRequest {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) end(130);
    report.warn(`${name}: saving a checkpoint after this step; a second signal exits now`);
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
