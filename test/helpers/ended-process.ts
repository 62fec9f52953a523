import { expect } from "bun:test";
import { readFileSync } from "node:fs";

/** A shell script that starts a process, writes its id to a file, and takes long itself. */
export const longScript = (file: string) =>
  `/bin/sleep 30 & echo $! >"${file}.part"; /bin/mv "${file}.part" "${file}"; /bin/sleep 30`;

/** Expects the process that such a script started to end within seconds. */
export async function expectEnded(file: string): Promise<void> {
  const pid = readFileSync(file, "utf8").trim();
  for (let i = 0; isRunning(pid) && i < 500; i++) await Bun.sleep(10);
  expect([pid, isRunning(pid)]).toEqual([expect.stringMatching(/^\d+$/), false]);
}

// --- internal ---

/** Whether a process runs: one that has ended may still be a zombie. */
function isRunning(pid: string): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
