/** Thrown by work that was asked to stop; what it had computed is dropped. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

/** Answers whether a stop has been requested; polled between batches. */
export type StopRequested = () => boolean;

/** Throws `Stopped` if a stop has been requested. */
export function checkStop(stopRequested: StopRequested | undefined): void {
  if (stopRequested?.() === true) throw new Stopped("stopped on request");
}
