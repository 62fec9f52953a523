import { readFileSync } from "node:fs";
import { freemem } from "node:os";
import type { RunNeeds } from "../core/run/needs.ts";
import { byteSize } from "./byte-size.ts";

/** Bytes that this process may still take: what the system has, or what its control group allows, whichever is less. */
export function availableMemory(read: (path: string) => string | undefined = readIfThere): number {
  const line = /^MemAvailable:\s+(\d+) kB/m.exec(read("/proc/meminfo") ?? "");
  const system = line ? Number(line[1]) * 1024 : freemem();
  const limit = Number(read("/sys/fs/cgroup/memory.max") ?? Number.NaN); // "max" is no number
  const used = Number(read("/sys/fs/cgroup/memory.current") ?? Number.NaN);
  const group = limit - used;
  return Number.isNaN(group) ? system : Math.max(0, Math.min(system, group));
}

/** A warning where a run may need more memory than there is. */
export function memoryWarning(
  { memory }: Pick<RunNeeds, "memory">,
  available = availableMemory(),
): string | undefined {
  if (memory <= available) return undefined;
  const [need, have] = [byteSize(memory), byteSize(available)];
  return `the run may need ${need} of memory, and ${have} are free: a smaller --batch-size needs less`;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined; // another system, or no control groups
  }
}
