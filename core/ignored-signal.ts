import { readFileSync } from "node:fs";
import { constants } from "node:os";

/**
 * Whether the process was started with a signal ignored, as under nohup: a handler would undo that.
 * False where the system can't tell.
 */
export function isIgnored(name: NodeJS.Signals): boolean {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    const mask = BigInt(`0x${/^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
    return ((mask >> BigInt(constants.signals[name] - 1)) & 1n) === 1n;
  } catch {
    return false;
  }
}
