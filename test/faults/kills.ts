import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { tinyTask } from "../cli/tiny-task.ts";
import { type Random, randomOf } from "../fuzz/random.ts";
import { briefProcess } from "../helpers/brief-process.ts";
import { runResults } from "../helpers/run-results.ts";
import { CALLS, createInjector, type Fault, type Injection } from "./inject.ts";

/** How many faults, and the seed of their choice. */
export interface Effort {
  readonly count: number;
  readonly seed: number;
  /** Called after each run of the command. */
  readonly onAttempt?: (figures: Figures) => void;
}

/** What the faults led to. */
export interface Figures {
  /** Kills at random moments. */
  timed: number;
  /** Faults at a system call, by `${call} ${fault}`. */
  readonly injected: Record<string, number>;
  /** Trainings that ended, each compared with one without faults. */
  runs: number;
  /** Differences and wrong endings. */
  readonly findings: string[];
  /** Why no faults are injected, if so. */
  readonly notInjected?: string;
}

/** All faults so far. */
export const faultsIn = ({ timed, injected }: Figures): number =>
  Object.values(injected).reduce((sum, count) => sum + count, timed);

/** Of AdaLoRA, with an evaluation and a checkpoint again and again: about a second. */
const SETTINGS = (
  "--max-steps 12 --init-warmup 20% --final-warmup 30% --mask-interval 2 --init-rank 3 " +
  "--target-rank 1 --batch-size 8 --lr 0.02 --warmup-steps 2 --dropout 0 --cls-dropout 0.1 " +
  "--seed 5 --eval-steps 4 --save-steps 2 --save-limit 2 --log-steps 1 --device reference --resume"
).split(" ");
const PROGRAM = resolve(import.meta.dir, "../../cli/main.ts");
/** A tear is a kill too. Failures must leave the folder as resumable as a kill does. */
const FAULTS: readonly Fault[] = ["kill", "tear", "ENOSPC", "EIO"];

/**
 * Trains a tiny model again and again. Half of the faults are SIGKILLs at random moments, the others
 * are injected at system calls on the run's files; after each fault the run is resumed, and may get
 * the next one. At its end it must have given what a run without faults does.
 */
export async function survive({ count, seed, onAttempt }: Effort): Promise<Figures> {
  const task = tinyTask();
  try {
    const trial = new Trial(task.folder, ["--model", task.model, "--data", task.data], seed);
    await trial.measure();
    while (faultsIn(trial.figures) < count) {
      await trial.attempt();
      onAttempt?.(trial.figures);
    }
    await trial.end();
    return trial.figures;
  } finally {
    rmSync(task.folder, { recursive: true, force: true });
  }
}

// --- internal ---

/** How a run of the command ended: its exit code, 137 after a kill. */
interface Ended {
  readonly code: number;
  readonly stderr: string;
}

class Trial {
  readonly figures: Figures;
  readonly #folder: string;
  readonly #flags: readonly string[];
  readonly #random: Random;
  readonly #injector;
  readonly #env: Record<string, string>;
  #whole: ReturnType<typeof runResults>["results"] | undefined;
  #milliseconds = 0;
  #counts: ReadonlyMap<string, number> | undefined;

  constructor(folder: string, flags: readonly string[], seed: number) {
    [this.#folder, this.#flags, this.#random] = [folder, flags, randomOf(seed)];
    const injector = createInjector(folder);
    this.#injector = typeof injector === "string" ? undefined : injector;
    this.figures = {
      timed: 0,
      injected: {},
      runs: 0,
      findings: [],
      ...(typeof injector === "string" ? { notInjected: injector } : {}),
    };
    const home = join(folder, "home");
    mkdirSync(home);
    const path = process.env["PATH"] ?? "";
    this.#env = { ...briefProcess, PATH: path, HOME: home, HF_HUB_OFFLINE: "1" };
  }

  /** Runs without faults, for the results, the time and the calls to choose from. */
  async measure(): Promise<void> {
    const out = join(this.#folder, "whole");
    const started = performance.now();
    const { code, stderr } = await this.#run(out, { injection: undefined });
    this.#milliseconds = performance.now() - started;
    if (code !== 0) throw new Error(`the run without faults ended with ${code}: ${stderr}`);
    this.#counts = this.#injector?.counts();
    this.#whole = runResults(out).results;
  }

  /** Starts or resumes the current run with a fault ahead; checks how it ends. */
  async attempt(): Promise<void> {
    const { timed } = this.figures;
    const isInjected = this.#injector !== undefined && faultsIn(this.figures) < 2 * timed;
    const injection = isInjected ? this.#chooseInjection() : undefined;
    const killAfter = isInjected ? Infinity : this.#random.below(this.#milliseconds);
    const ended = await this.#run(this.#out, { injection, killAfter });
    this.#judge(ended, injection);
  }

  /** Lets the current run end. */
  async end(): Promise<void> {
    this.#judge(await this.#run(this.#out, { injection: undefined }), undefined);
  }

  get #out(): string {
    return join(this.#folder, `run-${this.figures.runs + this.figures.findings.length}`);
  }

  #chooseInjection(): Injection {
    const fault = this.#random.pick(FAULTS);
    const call = fault === "tear" ? "write" : this.#random.pick(CALLS);
    return { call, fault, nth: 1 + this.#random.below(this.#counts?.get(call) ?? 1) };
  }

  #judge({ code, stderr }: Ended, injection: Injection | undefined): void {
    const out = this.#out;
    const what = injection ? `${injection.call} ${injection.fault}` : undefined;
    const isKilled = code === 137;
    const isError = code === 1 && injection !== undefined && isOneError(stderr);
    if (isKilled || isError) this.#count(what);
    else if (code === 0) this.#compare(out);
    else {
      const where = injection ? `${what} ${injection.nth}` : "no fault";
      this.figures.findings.push(`${where}: exit ${code}: ${stderr.trim().slice(-500)}`);
    }
  }

  #count(what: string | undefined): void {
    const { injected } = this.figures;
    if (what === undefined) this.figures.timed++;
    else injected[what] = (injected[what] ?? 0) + 1;
  }

  #compare(out: string): void {
    const { results } = runResults(out);
    const whole = new Map<string, unknown>(Object.entries(this.#whole ?? {}));
    const changed = Object.entries(results)
      .filter(([name, value]) => !isDeepStrictEqual(value, whole.get(name)))
      .map(([name]) => name);
    const scratch = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((name) =>
      /^\..+\.(?:tmp-\d+|replaced)$/.test(basename(name)),
    );
    const { findings } = this.figures;
    if (changed.length > 0) findings.push(`${out}: another ${changed.join(", ")}`);
    else if (scratch.length > 0) findings.push(`${out}: left ${scratch.join(", ")}`);
    else this.figures.runs++;
    if (changed.length === 0) rmSync(out, { recursive: true });
  }

  async #run(
    out: string,
    { injection, killAfter = Infinity }: { injection: Injection | undefined; killAfter?: number },
  ): Promise<Ended> {
    const program = [process.execPath, "--no-env-file", PROGRAM, "run", "rte"];
    const command = [...program, ...this.#flags, ...SETTINGS, "--out", out];
    const isTimed = Number.isFinite(killAfter);
    const child = Bun.spawn(
      isTimed ? command : (this.#injector?.command(out, injection, command) ?? command),
      { cwd: this.#folder, env: this.#env, stdio: ["ignore", "ignore", "pipe"] },
    );
    const timer = isTimed ? setTimeout(() => child.kill("SIGKILL"), killAfter) : undefined;
    const stderr = await new Response(child.stderr).text();
    const code = await child.exited;
    clearTimeout(timer);
    return { code, stderr };
  }
}

/** Whether a command that failed said so in one error, which is the system's and no bug. */
function isOneError(stderr: string): boolean {
  const errors = stderr.split("\n").filter((line) => line.startsWith("error  "));
  return errors.length === 1 && !stderr.includes("internal: ");
}
