import { readFileSync } from "node:fs";

/** Peak resident memory of this process in bytes; undefined where the system does not tell. */
export function peakResidentMemory(): number | undefined {
  try {
    const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"));
    return line ? Number(line[1]) * 1024 : undefined;
  } catch {
    return undefined; // another system
  }
}
