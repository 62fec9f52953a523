import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import type { DeviceMemory } from "./device.ts";

/**
 * Bytes that this process may still allocate: the system's free memory or what its control group
 * allows, whichever is less.
 */
export function availableHostMemory(
  read: (path: string) => string | undefined = readIfThere,
): number {
  const line = /^MemAvailable:\s+(\d+) kB/m.exec(read("/proc/meminfo") ?? "");
  const system = line ? Number(line[1]) * 1024 : freemem();
  const limit = Number(read("/sys/fs/cgroup/memory.max") ?? Number.NaN); // "max" is no number
  const used = Number(read("/sys/fs/cgroup/memory.current") ?? Number.NaN);
  const group = limit - used;
  return Number.isNaN(group) ? system : Math.max(0, Math.min(system, group));
}

/** The host's memory, for a device that computes in it. */
export const hostMemory = (weights: DeviceMemory["weights"]): Promise<DeviceMemory> =>
  Promise.resolve({ kind: "host", free: availableHostMemory(), total: totalmem(), weights });

// --- internal ---

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined; // another system, or no control groups
  }
}
