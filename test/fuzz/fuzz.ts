import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addOutcome, type Job, noOutcome, type Outcome } from "./outcome.ts";

/** How long a reader is fuzzed. */
export interface Effort {
  readonly seed: number;
  readonly from: number;
  readonly cases: number;
  readonly milliseconds: number;
}

const HANG_CPU_SECONDS = 5; // of one case; the child itself reports what ends after 2
/**
 * Of one case that waits for something. A tokenizer is tried in a process of its own, which at a low
 * priority may itself wait for minutes.
 */
const HANG_SECONDS = 600;
const POLL_MS = 50;

/**
 * Runs cases of a reader in child processes: one that crashes or hangs is a finding, and the next
 * child continues with the case after it.
 */
export async function fuzz(target: string, effort: Effort): Promise<Outcome> {
  const sum = noOutcome();
  const folder = mkdtempSync(join(tmpdir(), "adalora-fuzz-parent-"));
  const position = join(folder, "position");
  const deadline = performance.now() + effort.milliseconds;
  let from = effort.from;
  const end = effort.from + effort.cases;
  while (from < end && performance.now() < deadline) {
    writeFileSync(position, new BigUint64Array([BigInt(from)]));
    const milliseconds = deadline - performance.now();
    const job = { target, seed: effort.seed, from, cases: end - from, milliseconds, position };
    const last = await runChild(job, sum);
    from = last === undefined ? end : last + 1;
  }
  rmSync(folder, { recursive: true });
  return sum;
}

/** Runs one child; returns the index of the case that ended it, undefined when it ended by itself. */
async function runChild(job: Job, sum: Outcome): Promise<number | undefined> {
  const program = join(import.meta.dir, "run-cases.ts");
  const child = Bun.spawn(
    [process.execPath, "--no-env-file", "--no-install", program, JSON.stringify(job)],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const output = new Response(child.stdout).text();
  const errorOutput = new Response(child.stderr).text();
  const hung = watch(child, job.position);
  const code = await child.exited;
  const isHung = hung.stop();
  if (code === 0) {
    addOutcome(sum, JSON.parse(await output));
    return undefined;
  }
  const index = indexIn(job.position);
  const reason = (await errorOutput).trim().split("\n").slice(0, 4).join(" | ");
  sum.cases += index - job.from + 1;
  sum.findings.push({
    target: job.target,
    index,
    what: isHung ? "hang" : "crash",
    detail: isHung ? "it was killed" : `exit ${code} ${child.signalCode ?? ""} ${reason}`,
  });
  return index;
}

const indexIn = (path: string) => Number(new BigUint64Array(readFileSync(path).buffer.slice(0))[0]);

/** Kills a child whose case takes too long. */
function watch(child: Bun.Subprocess, position: string) {
  let [index, cpu, since, isHung] = [-1, 0, performance.now(), false];
  const timer = setInterval(() => {
    const current = indexIn(position);
    const used = cpuSeconds(child.pid);
    if (current !== index) [index, cpu, since] = [current, used, performance.now()];
    const waited = (performance.now() - since) / 1000;
    if (used - cpu < HANG_CPU_SECONDS && waited < HANG_SECONDS) return;
    isHung = true;
    child.kill("SIGKILL");
  }, POLL_MS);
  return {
    stop() {
      clearInterval(timer);
      return isHung;
    },
  };
}

/** Processor time of a process so far; 0 when it has ended. */
function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}
