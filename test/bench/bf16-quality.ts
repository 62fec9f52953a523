/**
 * bun test/bench/bf16-quality.ts --name NAME --seeds 1,2,3 --work DIR --out FILE.json -- FLAGS OF `adalora run`
 *
 * Does a run once a seed in f32 and once in bf16. FILE.json gets their curves and final numbers, beside those of other names that
 * it holds already, and FILE.svg shows them side by side. Exit 1 where the means over the seeds differ by more than f32's seeds do.
 * Finished runs in DIR are read, not repeated; a folder is for one set of flags.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../../core/io/atomic.ts";
import { readJsonObject } from "../../core/io/json-file.ts";
import { readJsonLog } from "../helpers/json-log.ts";
import { curvePicture } from "./curve-picture.ts";

/** Names of the curves by their key in a run's log. */
const curves = {
  task_loss: "task loss",
  orth_loss: "orthogonality loss",
  grad_norm: "gradient norm",
  budget: "budget, triplets",
} as const;
/** A curve that is compared between dtypes. */
export type Curve = keyof typeof curves;
/** The dtypes that are compared. */
export type Dtype = "f32" | "bf16";

/** Points of a curve: each is the mean over as many steps. */
const POINTS = 50;

/** A finished run of one dtype and seed. */
export interface FinishedRun {
  readonly seed: number;
  readonly dtype: Dtype;
  /** On the evaluation data, after the last step. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly curves: Readonly<Record<Curve, readonly number[]>>;
}

/** How far bf16's mean is from f32's, and how far f32's seeds are from each other; of a curve the root mean square over its points. */
export interface Comparison {
  readonly f32: number;
  readonly bf16: number;
  readonly difference: number;
  readonly spread: number;
  /** The difference is not larger than the spread. */
  readonly within: boolean;
}

/** One setting, run in both dtypes over seeds. */
export interface Experiment {
  readonly flags: readonly string[];
  readonly steps: number;
  readonly runs: readonly FinishedRun[];
  readonly comparisons: Readonly<Record<string, Comparison>>;
}

async function main(): Promise<void> {
  const { values, positionals: flags } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: "string", default: "demo" },
      seeds: { type: "string", default: "1,2,3" },
      work: { type: "string" },
      out: { type: "string" },
    },
  });
  const { name, seeds, work, out } = values;
  if (work === undefined || out === undefined || flags.length === 0)
    throw new Error("--work DIR, --out FILE.json and, after --, a run's flags are needed");
  const numbers = seeds.split(",").map(Number);
  if (numbers.length < 2) throw new Error("one seed has no spread: --seeds needs two at least");
  const runs: FinishedRun[] = [];
  let steps = 0;
  for (const seed of numbers) {
    for (const dtype of ["f32", "bf16"] as const) {
      const folder = resolve(work, `${name}-${dtype}-${seed}`);
      if (!existsSync(join(folder, "metrics.json"))) await train(folder, flags, seed, dtype);
      const finished = readRun(folder);
      ({ steps } = finished);
      runs.push({ seed, dtype, ...finished.run });
      console.log(`${name}, seed ${seed}, ${dtype}: ${JSON.stringify(finished.run.metrics)}`);
    }
  }
  const comparisons = compareAll(runs);
  const before: Record<string, unknown> = existsSync(out) ? { ...readJsonObject(out) } : {};
  const result = { ...before, [name]: { flags: shown(flags), steps, runs, comparisons } };
  writeFileAtomic(out, `${JSON.stringify(result, undefined, 1)}\n`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by this script alone
  const experiments = result as unknown as Readonly<Record<string, Experiment>>;
  writeFileAtomic(out.replace(/\.json$/, ".svg"), curvePicture(experiments, curves));
  for (const [what, { f32, bf16, difference, spread, within }] of Object.entries(comparisons)) {
    const verdict = within ? "within" : "BEYOND";
    const means = `f32 ${f32.toPrecision(5)}, bf16 ${bf16.toPrecision(5)}`;
    console.log(
      `${what}: ${means}; differ by ${difference.toPrecision(3)}, ${verdict} f32's seeds ${spread.toPrecision(3)}`,
    );
    if (!within) process.exitCode = 1;
  }
}

/** Does a run in a process of its own. */
async function train(folder: string, flags: readonly string[], seed: number, dtype: Dtype) {
  const program = resolve(import.meta.dir, "../../cli/main.ts");
  const own = ["--seed", seed, "--dtype", dtype, "--log-steps", 1, "--out", folder, "--overwrite"];
  const command = [process.execPath, program, "run", ...flags, ...own.map(String), "--quiet"];
  const child = Bun.spawn(command, { stdout: "ignore", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error(`failed: ${command.join(" ")}`);
}

function readRun(folder: string): { steps: number; run: Pick<FinishedRun, "metrics" | "curves"> } {
  const { metrics } = JSON.parse(readFileSync(join(folder, "metrics.json"), "utf8"));
  const [split] = Object.keys(metrics);
  const steps = readJsonLog(join(folder, "log.jsonl")).filter((line) => "task_loss" in line);
  const curveOf = (key: Curve) => binned(steps.map((line) => Number(line[key])));
  return {
    steps: steps.length,
    run: {
      metrics: metrics[split ?? ""],
      curves: {
        task_loss: curveOf("task_loss"),
        orth_loss: curveOf("orth_loss"),
        grad_norm: curveOf("grad_norm"),
        budget: curveOf("budget"),
      },
    },
  };
}

/** Means of `POINTS` equal parts, to five digits. */
function binned(values: readonly number[]): number[] {
  return Array.from({ length: POINTS }, (_, i) => {
    const [from, to] = [i, i + 1].map((n) => Math.round((n * values.length) / POINTS));
    return Number(mean(values.slice(from, to)).toPrecision(5));
  });
}

function compareAll(runs: readonly FinishedRun[]): Record<string, Comparison> {
  const of = (dtype: Dtype, numbers: (run: FinishedRun) => readonly number[]) =>
    runs.filter((run) => run.dtype === dtype).map(numbers);
  const compared = (numbers: (run: FinishedRun) => readonly number[]) =>
    compare(of("f32", numbers), of("bf16", numbers));
  const [metric = "loss"] = Object.keys(runs[0]?.metrics ?? {});
  const last = POINTS / 10;
  return {
    [`final ${metric}`]: compared((run) => [run.metrics[metric] ?? Number.NaN]),
    "final evaluation loss": compared((run) => [run.metrics["loss"] ?? Number.NaN]),
    "task loss of the last tenth": compared((run) => [mean(run.curves.task_loss.slice(-last))]),
    "curve of task loss": compared((run) => run.curves.task_loss),
    "curve of orthogonality loss": compared((run) => run.curves.orth_loss),
    "curve of gradient norm": compared((run) => run.curves.grad_norm),
    "curve of budget": compared((run) => run.curves.budget),
  };
}

/** `wide`, `narrow`: for each seed the numbers of f32's run and of bf16's. */
function compare(
  wide: readonly (readonly number[])[],
  narrow: readonly (readonly number[])[],
): Comparison {
  const points = (wide[0] ?? []).map((_, i) => {
    const [f32, bf16] = [wide, narrow].map((runs) => runs.map((run) => run[i] ?? Number.NaN));
    const range = Math.max(...f32!) - Math.min(...f32!);
    return { f32: mean(f32!), bf16: mean(bf16!), range };
  });
  const rounded = (x: number) => Number(x.toPrecision(5));
  const difference = rootMeanSquare(points.map(({ f32, bf16 }) => bf16 - f32));
  const spread = rootMeanSquare(points.map(({ range }) => range));
  return {
    f32: rounded(mean(points.map(({ f32 }) => f32))),
    bf16: rounded(mean(points.map(({ bf16 }) => bf16))),
    difference: rounded(difference),
    spread: rounded(spread),
    within: difference <= spread,
  };
}

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const rootMeanSquare = (values: readonly number[]) => Math.sqrt(mean(values.map((x) => x * x)));

/** Flags without the folders of the machine that they were used on. */
function shown(flags: readonly string[]): string[] {
  return flags.map((word) => (word.startsWith("/") ? (word.split("/").at(-1) ?? word) : word));
}

await main();
