import { exit, type Report } from "./report.ts";

/** A request to stop, while its signals are handled: `using stop = listenForStop(report)`. */
export interface StopRequest extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM: save a checkpoint and stop. */
  readonly signal: AbortSignal;
}

/**
 * Handles SIGINT and SIGTERM: the first requests the job to stop after its current step, a second
 * one exits immediately with 130. Handlers run between turns of the event loop, so the job must
 * await regularly.
 */
export function listenForStop(report: Report, end: typeof exit = exit): StopRequest {
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
