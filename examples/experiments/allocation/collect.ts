/**
 * Prints a JSON line for each finished run in the folders of comparisons:
 *
 *   bun examples/experiments/allocation/collect.ts runs/sst2-rank4 … > runs.jsonl
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CUT_METRICS, metricIn, readArmRun } from "../../../cli/compare/read-runs.ts";
import { type JsonObject, readJsonObject } from "../../../core/io/json-file.ts";
import { readFinishedRun } from "../../../core/run/finished-run.ts";

/** A finished run. */
export interface RunLine {
  readonly task: string;
  /** Average final rank. */
  readonly rank: number;
  readonly arm: string;
  /** Evaluated on rows held out of training, to pick the learning rate. */
  readonly isTuning: boolean;
  readonly seed: number;
  readonly lr: number;
  readonly dtype: string;
  readonly metric: string;
  readonly value: number;
  readonly parameters: number;
  /** Mean task loss of the logged steps among the last 50. */
  readonly lastLoss: number;
  /** Of the whole run and of its steps alone; wall-clock. */
  readonly seconds: number;
  readonly trainingSeconds: number;
  /** Peak of the process, in bytes. */
  readonly memory: number;
  readonly cpu: string;
  readonly threads: number;
  /** Task loss of every tenth step. */
  readonly losses: readonly number[];
  /** Final rank of each matrix, in the model's order; [] where all are equal. */
  readonly ranks: readonly number[];
}

// --- internal ---

function* linesOf(comparison: string): Generator<RunLine> {
  const { metric, rank } = readJsonObject(join(comparison, "compare.json"));
  const common = { metric: String(metric), rank: Number(rank) };
  for (const arm of foldersIn(comparison)) {
    const inside = foldersIn(join(comparison, arm));
    // lora-cut is cut after training, so that its runs are those of a LoRA of the initial rank.
    const isCut = arm.startsWith("lora-cut");
    const runs = [
      ...foldersIn(join(comparison, arm, "tune")).map((name) => join("tune", name)),
      ...inside.filter((name) => name.startsWith("seed-")),
    ];
    for (const run of runs) {
      const folder = join(comparison, arm, run);
      if (!existsSync(join(folder, "metrics.json"))) continue;
      const isTuning = run.startsWith("tune");
      if (!isCut || isTuning || existsSync(join(folder, CUT_METRICS))) {
        yield lineOf(folder, { ...common, isCut, isTuning });
      }
      if (isCut && !isTuning) {
        yield lineOf(folder, { ...common, rank: initRankOf(folder), isCut: false, isTuning });
      }
    }
  }
}

const initRankOf = (folder: string) =>
  Number(readJsonObject(join(folder, "config.json"))["initRank"]);

interface LineOptions {
  readonly isCut: boolean;
  readonly isTuning: boolean;
  readonly metric: string;
  readonly rank: number;
}

function lineOf(folder: string, { isCut, isTuning, metric, rank }: LineOptions): RunLine {
  const config = readJsonObject(join(folder, "config.json"));
  const seed = Number(config["seed"]);
  const result = readFinishedRun(folder);
  const run = readArmRun(folder, seed, metric, isCut && !isTuning);
  const { environment } = result;
  const losses = lossesIn(folder);
  const last = losses.filter(({ step }) => step > result.steps - 50).map(({ loss }) => loss);
  const ranks = Object.values(result.ranks);
  return {
    task: String(config["task"]),
    rank,
    arm: isCut ? "lora-cut" : armOf(config),
    isTuning,
    seed,
    lr: Number(config["lr"]),
    dtype: String(config["dtype"]),
    metric,
    value: isTuning ? metricIn(result.metrics, metric, folder) : run.value,
    parameters: run.parameters,
    lastLoss: round(last.reduce((sum, loss) => sum + loss, 0) / last.length),
    seconds: run.seconds,
    trainingSeconds: result.time.training,
    memory: run.memory,
    cpu: String(environment["cpu"]),
    threads: Number(environment["threads"]),
    losses: losses.map(({ loss }) => round(loss)),
    ranks: new Set(ranks).size === 1 ? [] : ranks,
  };
}

function armOf({ method, allocator, start, lrE }: JsonObject): string {
  const name = typeof allocator === "string" ? allocator : String(method);
  const ofStart = typeof start === "string" ? [`start=${start}`] : [];
  const ofE = typeof lrE === "number" ? [`lr-e=${lrE}`] : [];
  return [name, ...ofStart, ...ofE].join(":");
}

function lossesIn(folder: string): { step: number; loss: number }[] {
  const lines = readFileSync(join(folder, "log.jsonl"), "utf8").trim().split("\n");
  return lines
    .map((line) => JSON.parse(line))
    .filter(({ task_loss: loss }) => typeof loss === "number")
    .map(({ step, task_loss: loss }) => ({ step, loss }));
}

const foldersIn = (path: string) =>
  existsSync(path)
    ? readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
        .toSorted()
    : [];

const round = (value: number) => Number(value.toPrecision(4));

if (import.meta.main) {
  for (const comparison of process.argv.slice(2)) {
    for (const line of linesOf(comparison)) process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}
