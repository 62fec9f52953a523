/** Thrown by work that stops on request; its partial results are dropped. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

/** Answers whether a stop has been requested; polled between batches. */
export type StopRequested = () => boolean;

/** Throws `Stopped` if a stop has been requested. */
export function checkStop(stopRequested: StopRequested | undefined): void {
  if (stopRequested?.() === true) throw new Stopped("stopped on request");
}
