import { readFileSync } from "node:fs";

/**
 * Peak resident memory in bytes of a process, this one by default; undefined where the system does
 * not tell, or the process has ended.
 */
export function peakResidentMemory(pid: number | "self" = "self"): number | undefined {
  try {
    const line = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return line ? Number(line[1]) * 1024 : undefined;
  } catch {
    return undefined; // another system, or no such process
  }
}
