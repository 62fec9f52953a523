import type { Decompose } from "../core/jacobi-svd.ts";
import type { StartObserver } from "../core/adalora/start.ts";
import type { RunObserver } from "../core/run/execute.ts";
import type { PreparedRun } from "../core/run/prepare.ts";
import { type Evaluation, metricsOf } from "../core/tasks/task.ts";
import { tokensIn } from "../core/train/evaluation.ts";
import { createBatchReport } from "./batch-progress.ts";
import type { Scores } from "./progress.ts";
import type { Report } from "./report.ts";
import { createRunHistory } from "./run-history.ts";
import type { StopRequest } from "./signals.ts";
import { createTimeLeft } from "./time-left.ts";

/** The step after which a run's time is predicted: the first ones also warm up. */
const PREDICTION_STEP = 5;

/** An observer of a run that also predicts the run's time. */
export interface RunWatcher extends RunObserver {
  /** The prediction made after the first steps; undefined for shorter runs and resumed ones. */
  predictedSeconds(): number | undefined;
}

/**
 * Reports the events of a run, and passes requests to stop on to it. `started`: `performance.now()`
 * when the run began. `decompose`: for a start that needs singular values.
 */
export function watchRun(
  run: PreparedRun,
  report: Report,
  stop: Pick<StopRequest, "isRequested">,
  started: number,
  decompose?: Decompose,
): RunWatcher {
  const { config, schedule, spec, validation } = run;
  const history = report.isLive ? createRunHistory(run) : undefined;
  let predicted: number | undefined;
  let isResumed = false;
  const timeLeft = createTimeLeft({
    steps: schedule.steps,
    evalSteps: config.evalSteps ?? schedule.stepsPerEpoch,
    evaluationTokens: tokensIn(validation.filter(({ isLabelled }) => isLabelled)),
  });
  const batches = createBatchReport("evaluating", report);
  return {
    predictedSeconds: () => predicted,
    stopRequested: () => stop.isRequested,
    start: { ...startReport(report), stopRequested: () => stop.isRequested, decompose },
    onLoaded: (fresh) => reportFresh(fresh, report),
    onResume(step, damaged) {
      reportResume(step, damaged, report);
      isResumed = step !== undefined;
    },
    onStage: (text) => report.stage(text),
    onStep({ step, taskLoss: loss, budget }, speed) {
      const done = step + 1;
      history?.step(loss);
      const state = {
        step: done,
        steps: schedule.steps,
        loss,
        budget,
        ...timeLeft.step(done, speed),
        panel: history && (() => history.panel()),
      };
      if (done === PREDICTION_STEP && !isResumed)
        predicted = (performance.now() - started) / 1000 + state.secondsLeft;
      report.progress(state, done % config.logSteps === 0 || done === schedule.steps);
    },
    onEvaluationProgress: (progress) => batches.batch(progress),
    onEvaluation(step, evaluations, isBest) {
      timeLeft.evaluation(batches.end());
      const [first] = evaluations;
      if (first) history?.evaluation(step, metricsOf(first), isBest);
      for (const evaluation of evaluations) {
        const { split, warnings } = evaluation;
        report.scores({ step, split, metrics: scoresOf(evaluation, spec.metrics), isBest });
        for (const warning of warnings) report.warn(warning);
      }
    },
    ...(history && { onRanks: (ranks) => history.ranks(ranks) }),
    onCheckpoint: (step) => report.info(`checkpoint after step ${step}`),
  };
}

// --- internal ---

const startReport = (report: Report): StartObserver => ({
  onProgress: (message) => report.info(message),
  onWarning: (message) => report.warn(message),
});

/** Names the parts of the model that have no weights in the checkpoint. */
function reportFresh(names: readonly string[], report: Report): void {
  const heads = [...new Set(names.map((name) => name.split(".")[0]))];
  if (heads.length > 0)
    report.info(`${heads.join(" and ")} are initialized at random: the checkpoint has none`);
}

function reportResume(step: number | undefined, damaged: readonly string[], report: Report): void {
  for (const one of damaged) report.warn(`${one}: the checkpoint is damaged`);
  if (step === undefined) report.info("no checkpoint to resume from: starting from the beginning");
  else report.info(`resuming after step ${step}`);
}

/** An evaluation's metrics of these names, with their intervals if there are any. */
function scoresOf(evaluation: Evaluation, names: readonly string[]): Scores["metrics"] {
  const { intervals = {} } = evaluation;
  const values = metricsOf(evaluation);
  return names.flatMap((name) => {
    const [value, interval] = [values[name], intervals[name]];
    if (value === undefined) return [];
    return [interval ? ([name, value, interval] as const) : ([name, value] as const)];
  });
}
