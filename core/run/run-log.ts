import { join } from "node:path";
import { isOneOf, pruningMethods } from "../config/method.ts";
import { openJsonLog } from "../io/jsonl.ts";
import { openScalars } from "../io/tensorboard.ts";
import type { Evaluation, TrainingBatch } from "../tasks/task.ts";
import { metricsBySplit } from "../train/evaluation.ts";
import type { Progress } from "../train/progress.ts";
import type { Speed } from "../train/setup.ts";
import type { StepReport } from "../train/step-report.ts";
import type { Trainer } from "../train/trainer.ts";
import type { PreparedRun } from "./prepare.ts";
import { headRecord, RankHistory } from "./rank-history.ts";
import type { Environment } from "./results.ts";
import { rankPattern } from "./run-files.ts";
import { runFiles } from "./run-folder.ts";

/** A run's log.jsonl and TensorBoard curves. Steps count from 1, as in every other output. */
export interface RunLog extends Disposable {
  /**
   * Continues the files of an interrupted run after its progress: later records are dropped, those
   * of an evaluation that `progress` doesn't include among them. Starts anew without progress.
   */
  resume(progress: Progress | undefined): void;
  /**
   * Writes a step's record, at every `logSteps` steps and at the last one, and what its mask
   * changed.
   */
  step(report: StepReport, speed: Speed): void;
  /** Writes the metrics of the evaluations after `step` steps. */
  evaluation(step: number, evaluations: readonly Evaluation[]): void;
}

/**
 * Opens the log of a run in the folder `out`; `resume`: its files are opened later, by `resume()`.
 * `environment`: what the first record says of versions and machine.
 */
export function openRunLog(
  out: string,
  run: PreparedRun,
  trainer: Trainer<TrainingBatch>,
  { resume, environment = {} }: { resume: boolean; environment?: Environment },
): RunLog {
  const { logSteps, task, maskInterval } = run.config;
  const { steps } = run.schedule;
  const open = (progress: Progress | undefined) => {
    const opened = openFiles(out, progress);
    if (!progress) opened.log.append(headRecord(run, trainer, environment));
    return { ...opened, history: new RankHistory(trainer.kept(), steps, maskInterval) };
  };
  let files = resume ? undefined : open(undefined);
  const current = () => (files ??= open(undefined));
  return {
    resume(progress) {
      files = open(progress);
    },
    step(report, speed) {
      const step = report.step + 1;
      const mask = current().history.record(report, step === steps);
      if (mask) current().log.append({ ...mask });
      if (step % logSteps !== 0 && step !== steps) return;
      const record = logRecord(report, speed);
      current().log.append(record);
      const ranks = rankPattern(trainer, current().history.kept, run);
      for (const [tag, value] of scalarsOf(record, ranks, run)) {
        current().scalars.scalar(tag, step, value);
      }
    },
    evaluation(step, evaluations) {
      current().log.append({ step, evaluation: metricsBySplit(evaluations) });
      for (const { split, metrics } of evaluations) {
        for (const [name, value] of Object.entries(metrics)) {
          const suffix = evaluations.length > 1 ? `_${split}` : "";
          current().scalars.scalar(`${EVALUATION_TAG}${task}${suffix}/${name}`, step, value);
        }
      }
    },
    [Symbol.dispose]() {
      files?.log.close();
      files?.scalars.close();
    },
  };
}

// --- internal ---

const EVALUATION_TAG = "Eval_";

function openFiles(out: string, progress: Progress | undefined) {
  const [log, curves] = [recordCounter(progress), recordCounter(progress)];
  const after = progress ? { resumeAfter: progress.step } : {};
  return {
    log: openJsonLog(join(out, runFiles.log), {
      ...after,
      keeps: (record) => !("evaluation" in record) || log("evaluation"),
    }),
    scalars: openScalars(join(out, runFiles.tensorboard), {
      ...after,
      keeps: ({ tag }) => tag?.startsWith(EVALUATION_TAG) !== true || curves(tag),
    }),
  };
}

/** Tells whether the next record of a kind is of an evaluation that the progress includes. */
function recordCounter(progress: Progress | undefined): (kind: string) => boolean {
  const counts = new Map<string, number>();
  return (kind) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count <= (progress?.evaluations ?? 0);
  };
}

function logRecord(report: StepReport, { tokens, seconds }: Speed) {
  return {
    step: report.step + 1,
    task_loss: report.taskLoss,
    orth_loss: report.orthogonalityLoss,
    grad_norm: report.gradNorm,
    lr: report.learningRate,
    ...(report.learningRateOfE === undefined ? {} : { lr_e: report.learningRateOfE }),
    budget: report.budget ?? null,
    threshold: report.threshold ?? null,
    tokens_per_second: Math.round(tokens / seconds),
  };
}

const budgetTag = ({ target }: Pick<PreparedRun, "target">) =>
  target?.budget.unit === "parameters" ? "Budget/parameters" : "Budget/total_rank";

/** TensorBoard tags and values: the reference's tags, plus the learning rate. */
function scalarsOf(
  record: ReturnType<typeof logRecord>,
  ranks: Readonly<Record<string, number>>,
  run: Pick<PreparedRun, "config" | "target">,
): [string, number][] {
  const scalars: [string, number][] = [
    ["train/loss", record.task_loss],
    ["train/orth_regu_loss", record.orth_loss],
    ["train/grad_norm", record.grad_norm],
    ["train/learning_rate", record.lr],
  ];
  if (record.lr_e !== undefined) scalars.push(["train/learning_rate_of_e", record.lr_e]);
  if (record.budget !== null) scalars.push([budgetTag(run), record.budget]);
  if (record.threshold !== null) scalars.push(["Budget/mask_threshold", record.threshold]);
  if (isOneOf(run.config.method, pruningMethods)) {
    for (const [name, rank] of Object.entries(ranks)) scalars.push([`Ranknum/${name}`, rank]);
  }
  return scalars;
}
