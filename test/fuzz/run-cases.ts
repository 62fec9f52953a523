/** The child process of the fuzzer: runs cases of one reader, and prints their outcome as JSON. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AdaloraError } from "../../core/errors.ts";
import { mutate } from "./mutate.ts";
import { queuedSeconds } from "./queued-seconds.ts";
import { type Finding, type Job, noOutcome, type Outcome } from "./outcome.ts";
import { caseSeed, randomOf } from "./random.ts";
import type { Seed, Target } from "./target.ts";
import { targets } from "./targets.ts";

const MAX_MEMORY = 128e6; // bytes, beside 10 for each of the input's
const MAX_MILLISECONDS = 2000; // of processor time
const MAX_MESSAGE = 1000; // characters

/** Resident bytes now, and the most since the last reset. */
function memory(): { now: number; peak: number } {
  const status = readFileSync("/proc/self/status", "latin1");
  const kilobytes = (name: string) =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
  return { now: kilobytes("VmRSS") * 1024, peak: kilobytes("VmHWM") * 1024 };
}

const resetPeak = () => writeFileSync("/proc/self/clear_refs", "5");

/** A clock that stands still while other processes have the processor: see queuedSeconds. */
const ownMilliseconds = () => performance.now() - 1000 * queuedSeconds();

/** The cases of a job, one after the other. */
async function run(job: Job): Promise<Outcome> {
  const target = targets.find(({ name }) => name === job.target);
  if (target === undefined) throw new Error(`no reader "${job.target}"`);
  const seeds = await target.seeds();
  const root = mkdtempSync(join(tmpdir(), "adalora-fuzz-"));
  process.env["XDG_CACHE_HOME"] = join(root, "cache");
  const position = new BigUint64Array(Bun.mmap(job.position).buffer);
  const outcome = noOutcome();
  const deadline = ownMilliseconds() + job.milliseconds;
  for (let i = 0; i < job.cases && ownMilliseconds() < deadline; i++) {
    position[0] = BigInt(job.from + i);
    await runCase(target, seeds, job, job.from + i, root, outcome);
  }
  rmSync(root, { recursive: true, force: true });
  return outcome;
}

async function runCase(
  target: Target,
  seeds: readonly Seed[],
  job: Job,
  index: number,
  root: string,
  outcome: Outcome,
): Promise<void> {
  const random = randomOf(caseSeed(job.seed, target.name, index));
  const seed = random.pick(seeds);
  const bytes = mutate(seed.bytes, seed.kind, random);
  const dir = join(root, "case");
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  resetPeak();
  const [before, cpu] = [memory().now, process.cpuUsage()];
  const fault = await faultOf(target, bytes, seed, dir, outcome);
  const used = process.cpuUsage(cpu);
  const milliseconds = (used.user + used.system) / 1000;
  const growth = Math.max(0, memory().peak - before);
  outcome.cases++;
  outcome.memory = Math.max(outcome.memory, growth);
  outcome.milliseconds = Math.max(outcome.milliseconds, milliseconds);
  const find = (what: Finding["what"], detail: string) =>
    outcome.findings.push({ target: target.name, index, what, detail });
  if (fault !== undefined) find(...fault);
  if (milliseconds > MAX_MILLISECONDS) find("hang", `${Math.round(milliseconds)} ms`);
  if (growth > MAX_MEMORY + 10 * bytes.length) find("memory", `${Math.round(growth / 1e6)} MB`);
}

async function faultOf(
  target: Target,
  bytes: Uint8Array,
  seed: Seed,
  dir: string,
  outcome: Outcome,
): Promise<readonly ["crash" | "message", string] | undefined> {
  try {
    await target.read(bytes, seed, dir);
    outcome.read++;
    return undefined;
  } catch (error) {
    if (!(error instanceof AdaloraError)) {
      return ["crash", error instanceof Error ? (error.stack ?? error.message) : String(error)];
    }
    outcome.refused++;
    const { message } = error;
    const isOneLine = message.length <= MAX_MESSAGE && !message.includes("\n");
    return isOneLine
      ? undefined
      : ["message", `${message.length} characters: ${message.slice(0, 200)}`];
  }
}

const job: Job = JSON.parse(process.argv[2] ?? "{}");
console.log(JSON.stringify(await run(job)));
process.exit(0);
