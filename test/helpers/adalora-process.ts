import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const program = resolve(import.meta.dir, "../../cli/main.ts");
const preload = resolve(import.meta.dir, "report-peak.ts");

/**
 * Runs `adalora WORDS` in a process of its own. `peak`: the most memory it had resident, in bytes, as it says itself through
 * `peakFile`; what the kernel tells of a child that has ended is no less than its parent had when it was started. `seconds`: of processor time, which
 * other processes do not lengthen.
 */
export async function adaloraProcess(words: readonly string[], peakFile: string) {
  const child = Bun.spawn([process.execPath, "--preload", preload, program, ...words], {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, PEAK_FILE: peakFile },
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  const code = await child.exited;
  const seconds = Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1e6;
  if (child.signalCode !== null)
    throw new Error(`adalora was killed by ${child.signalCode}: ${err}`);
  return { out, err, code, seconds, peak: Number(readFileSync(peakFile, "utf8")) * 2 ** 20 };
}
