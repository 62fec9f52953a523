import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { tinyTask } from "../cli/tiny-task.ts";
import { randomOf } from "../fuzz/random.ts";

/** A command that trains many runs, and the file whose bytes it must end with. */
export interface KilledCommand {
  readonly words: readonly string[];
  readonly result: string;
}

/** What kills led to. */
export interface KillFigures {
  kills: number;
  /** Kills that came after the command had ended; each began it anew. */
  late: number;
  readonly findings: string[];
}

const STEPS =
  "--max-steps 12 --init-warmup 2 --final-warmup 3 --mask-interval 1 --init-rank 3 --target-rank 1 " +
  "--batch-size 8 --lr 0.02 --warmup-steps 1 --dropout 0 --eval-steps 4 --save-steps 2 --device reference";

/** Four arms of two seeds, and a sweep of two rungs. */
export const killedCommands: Readonly<Record<"compare" | "sweep", KilledCommand>> = {
  compare: {
    words: `compare rte ${STEPS} --methods lora,lora-cut,adalora,uniform --seeds 2`.split(" "),
    result: "compare.json",
  },
  sweep: {
    words: `sweep rte ${STEPS.replace("--lr 0.02", "--lr 0.01,0.02,0.05,0.1")} --halving`.split(
      " ",
    ),
    result: "sweep.json",
  },
};

const PROGRAM = resolve(import.meta.dir, "../../cli/main.ts");

/**
 * Runs a command undisturbed, then again and SIGKILLs it `count` times at random moments, and
 * compares the bytes of its result. Half of the kills hit its runs too; the others leave them to
 * notice that it is gone.
 */
export async function surviveKills(
  { words, result }: KilledCommand,
  { count, seed, onKill }: { count: number; seed: number; onKill?: (figures: KillFigures) => void },
): Promise<KillFigures> {
  const task = tinyTask();
  const figures: KillFigures = { kills: 0, late: 0, findings: [] };
  const home = join(task.folder, "home");
  mkdirSync(home);
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, HF_HUB_OFFLINE: "1" };
  const run = async (out: string, killAfter = Infinity, hitsRuns = false) => {
    const flags = ["--model", task.model, "--data", task.data, "--jobs", "2", "--resume"];
    const command = [process.execPath, "--no-env-file", PROGRAM, ...words, ...flags, "--out", out];
    const child = Bun.spawn(command, { cwd: home, env, stdio: ["ignore", "ignore", "pipe"] });
    const kill = () => {
      if (hitsRuns) for (const pid of childrenOf(child.pid)) tryKill(pid);
      child.kill("SIGKILL");
    };
    const timer = Number.isFinite(killAfter) ? setTimeout(kill, killAfter) : undefined;
    const [code, stderr] = await Promise.all([child.exited, new Response(child.stderr).text()]);
    clearTimeout(timer);
    return { code, stderr };
  };
  const bytes = (out: string) => readFileSync(join(out, result), "utf8");
  try {
    const [whole, out] = ["whole", "killed"].map((name) => join(task.folder, name));
    const started = performance.now();
    const first = await run(whole!);
    const milliseconds = performance.now() - started;
    if (first.code !== 0)
      throw new Error(`without kills it ended with ${first.code}: ${first.stderr}`);
    const random = randomOf(seed);
    while (figures.kills < count) {
      // A third of the time: the later runs of the command must be reached by resuming.
      const { code, stderr } = await run(
        out!,
        random.below(milliseconds / 3),
        random.below(2) === 1,
      );
      if (code === 137) figures.kills++;
      else if (code === 0) {
        figures.late++;
        if (bytes(out!) !== bytes(whole!)) figures.findings.push(`another ${result}`);
        rmSync(out!, { recursive: true });
      } else figures.findings.push(`exit ${code}: ${stderr.trim().slice(-500)}`);
      onKill?.(figures);
      if (figures.findings.length > 0) return figures;
    }
    const last = await run(out!);
    if (last.code !== 0) figures.findings.push(`exit ${last.code}: ${last.stderr.slice(-500)}`);
    else if (bytes(out!) !== bytes(whole!)) figures.findings.push(`another ${result}`);
    return figures;
  } finally {
    rmSync(task.folder, { recursive: true, force: true });
  }
}

// --- internal ---

/** Processes that a process has started. */
function childrenOf(pid: number): readonly number[] {
  const { stdout } = Bun.spawnSync(["pgrep", "-P", String(pid)]);
  return stdout.toString().trim().split("\n").filter(Boolean).map(Number);
}

/** It may have ended since it was listed. */
function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {}
}
