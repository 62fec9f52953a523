import { readFileSync } from "node:fs";

/**
 * How long this process's main thread has waited for a processor; 0 where the kernel doesn't say. A
 * process of low priority may wait for most of its life.
 */
export function queuedSeconds(): number {
  try {
    const [, nanoseconds] = readFileSync("/proc/self/schedstat", "latin1").split(" ");
    return Number(nanoseconds) / 1e9;
  } catch {
    return 0;
  }
}
