import { readFileSync } from "node:fs";

/** Clock ticks of /proc: 100 per second on every supported architecture. */
const TICKS_PER_SECOND = 100;

/** Seconds since the kernel started this process. */
export function sinceProcessStart(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1)!.split(" ");
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  return uptime - Number(fields[19]) / TICKS_PER_SECOND;
}

/**
 * CPU seconds that all other processes have used so far; their growth tells a disturbed step from a
 * quiet one.
 */
export function otherCpuSeconds(): number {
  const line = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!;
  const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const own = process.cpuUsage();
  return (user + nice + system + irq + soft) / TICKS_PER_SECOND - (own.user + own.system) / 1e6;
}
