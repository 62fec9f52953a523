/**
 * Trains what `minilm.py train` trains, with the program, and appends one JSON line a run to OUT.jsonl.
 *
 *   bun test/oracle/minilm/train.ts START GLUE TASK METHOD SEEDS THREADS OUT
 *
 * Start, settings and steps are the same; the order of examples, dropout and the first A and B are each tool's own.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

const tasks = {
  stsb: { folder: "STS-B", labels: 1, steps: 390, flags: [] },
  sst2: { folder: "SST-2", labels: 2, steps: 325, flags: ["--train-limit", "8000"] },
  cola: { folder: "CoLA", labels: 2, steps: 390, flags: [] },
} as const;
const LAST = 50; // steps whose mean loss is reported

const [start, glue, task, method, seeds, threads, out] = process.argv.slice(2);
if (!out || !isTask(task))
  throw new Error("usage: train.ts START GLUE TASK METHOD SEEDS THREADS OUT");
for (const seed of seeds!.split(","))
  appendFileSync(`${out}.jsonl`, `${JSON.stringify(await trainOnce(task, seed))}\n`);

async function trainOnce(name: keyof typeof tasks, seed: string) {
  const { folder, labels, steps, flags } = tasks[name];
  const run = `${out}-${name}-${method}-${seed}`;
  const share = (x: number) => String(Math.round(x * steps));
  const values = {
    plugin: "examples/plugins/bert.ts",
    task: name,
    model: join(start!, `labels-${labels}`),
    data: join(glue!, folder),
    method: method!,
    ...(method === "lora"
      ? { "init-rank": "4", alpha: "8" }
      : {
          "init-rank": "8",
          "target-rank": "4",
          alpha: "16",
          semantics: "peft",
          "reg-orth-coef": "0.1",
          "mask-interval": "10",
          "init-warmup": share(0.1),
          "final-warmup": share(0.35),
        }),
    lr: "2e-3",
    schedule: "linear",
    "warmup-steps": share(0.06),
    "weight-decay": "0.01",
    "max-grad-norm": "1",
    "cls-dropout": "0.1",
    "batch-size": "32",
    "max-length": "128",
    "max-steps": String(steps),
    "eval-steps": String(steps),
    "save-steps": String(steps),
    "log-steps": "1",
    dtype: "f32",
    threads: threads!,
    seed,
    out: run,
  };
  const flagged = Object.entries(values).flatMap(([flag, value]) => [`--${flag}`, value]);
  const words = ["run", "--quiet", ...flagged, ...flags, "--no-bucketed", "--overwrite"];
  const done = Bun.spawnSync(["./adalora", ...words], { stdout: "ignore", stderr: "inherit" });
  if (done.exitCode !== 0) throw new Error(`adalora ended with ${done.exitCode}`);
  const metrics = JSON.parse(readFileSync(join(run, "metrics.json"), "utf8"));
  const losses = readFileSync(join(run, "log.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .flatMap(({ loss }) => (typeof loss === "number" ? [loss] : []));
  const last = losses.slice(-LAST);
  return {
    tool: "adalora",
    task: name,
    method,
    seed: Number(seed),
    loss: last.reduce((sum, loss) => sum + loss, 0) / last.length,
    threads: Number(threads),
    metrics,
  };
}

function isTask(name: string | undefined): name is keyof typeof tasks {
  return name !== undefined && Object.hasOwn(tasks, name);
}
