import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../../core/io/json-file.ts";

/** What a run's folder that is written for a test holds. */
export interface WrittenRun {
  /** Steps, each with a record; default 40. */
  readonly steps?: number;
  /** Default: as many as `steps`, which the run then has reached. */
  readonly planned?: number;
  readonly config?: JsonObject;
  /** Class names; default two plain ones. */
  readonly labels?: readonly string[];
  /** Whether metrics.json is there; default true. */
  readonly isFinished?: boolean;
  /** Added to the accuracy. */
  readonly better?: number;
  /** Written after the last record, as a killed process leaves it. */
  readonly torn?: string;
}

/** The matrices of a written run: two layers of two modules, at rank 3. */
export const matrices = [0, 1].flatMap((layer) =>
  ["query", "value"].map((module) => [
    `encoder.layer.${layer}.${module}`,
    "encoder.layer",
    String(layer),
    module,
    3,
  ]),
);

/** The loss of a step in a written run. */
export const lossAt = (step: number) => Number((1 / step + (step % 7) / 100).toPrecision(6));

/** The accuracy of the evaluation after a step. */
export const accuracyAt = (step: number, steps: number) =>
  Number((0.5 + step / steps / 4).toFixed(4));

/** Writes a run's folder: its log, config.json and metrics.json. */
export function writeRun(folder: string, run: WrittenRun = {}): void {
  const { steps = 40, planned = steps, isFinished = true, better = 0, torn = "" } = run;
  const { labels = ["no", "yes"] } = run;
  mkdirSync(folder, { recursive: true });
  const config = { task: "rte", method: "adalora", model: "a-model", seed: 1, ...run.config };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const lines = [JSON.stringify(headOf(planned))];
  for (let step = 1; step <= steps; step++) lines.push(...recordsOf(step, steps, better));
  writeFileSync(join(folder, "log.jsonl"), `${lines.join("\n")}\n${torn}`);
  if (!isFinished) return;
  const validation = { accuracy: accuracyAt(steps, steps) + better, loss: 0.25 };
  const metrics = {
    task: "rte",
    steps,
    stopped_by: "end",
    metrics: { validation },
    best: { step: steps, metric: "accuracy", value: validation.accuracy, metrics: { validation } },
    classes: {
      validation: {
        labels,
        precision: labels.map(() => 0.75),
        recall: labels.map(() => 0.5),
        f1: labels.map(() => 0.6),
        support: labels.map(() => 8),
        confusion_matrix: labels.map((_, i) => labels.map((_label, k) => (i === k ? 5 : 3))),
      },
    },
    majority_baseline: 0.5,
    baseline: { accuracy: 0.5 },
    total_rank: { reached: 11, target: 11 },
    seconds: 100,
    time: { start: 10, training: 70, evaluation: 20 },
    peak_memory: { process: 2 ** 28, buffers: 2 ** 24 },
    environment: { version: "0.1.0", cpu: "a cpu" },
  };
  writeFileSync(join(folder, "metrics.json"), JSON.stringify(metrics));
}

// --- internal ---

const headOf = (steps: number) => ({
  step: 0,
  run: {
    task: "rte",
    method: "adalora",
    steps,
    steps_per_epoch: 10,
    init_warmup: Math.floor(steps / 4),
    final_warmup: Math.floor(steps / 4),
    init_total_rank: 12,
    target_total_rank: 11,
    target_parameters: 1000,
    matrices,
    environment: { version: "0.1.0", cpu: "a cpu" },
  },
});

function recordsOf(step: number, steps: number, better: number): string[] {
  const record = {
    step,
    task_loss: lossAt(step),
    orth_loss: 0.1 / step,
    grad_norm: 1 + (step % 3),
    lr: 1e-3 * (1 - step / steps),
    budget: 12 - Math.floor((2 * step) / steps),
    threshold: null,
    tokens_per_second: 1000 + (step % 10),
  };
  const lines = [JSON.stringify(record)];
  const mask = masks(steps).get(step);
  if (mask) lines.push(JSON.stringify({ step, mask }));
  if (step % Math.ceil(steps / 4) === 0 || step === steps) {
    const validation = { accuracy: accuracyAt(step, steps) + better, loss: 0.25 };
    lines.push(JSON.stringify({ step, evaluation: { validation } }));
  }
  return lines;
}

/** Three masks: two triplets go, one of them comes back. */
function masks(steps: number): ReadonlyMap<number, object> {
  const at = (share: number) => Math.ceil(steps * share);
  const importance = matrices.map((_, i) => [0.1 * (i + 1), 0.3]);
  return new Map([
    [
      at(0.3),
      {
        kept: 10,
        pruned: [0, 11],
        revived: [],
        singular: [
          [2, 3],
          [1, 2, 3],
          [1, 2, 3],
          [1, 2],
        ],
        importance,
      },
    ],
    [at(0.5), { kept: 11, pruned: [], revived: [0] }],
    [
      at(0.7),
      {
        kept: 11,
        pruned: [1],
        revived: [11],
        singular: [
          [1, 3],
          [1, 2, 3],
          [1, 2, 3],
          [1, 2, 4],
        ],
      },
    ],
  ]);
}
