import { availableParallelism } from "node:os";
import { errors } from "./errors.ts";

/** The most threads that --threads may request: far more only wait for each other's cores. */
export const maxThreads = (): number => Math.max(256, 4 * availableParallelism());

/** Throws E_FLAG for more threads than this machine can use; null: one per core. */
export function checkThreads(threads: number | null): void {
  const most = maxThreads();
  if (threads === null || threads <= most) return;
  throw errors.flag("threads", `must be at most ${most} on this machine, got ${threads}`);
}
