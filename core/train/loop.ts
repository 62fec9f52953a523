import { join } from "node:path";
import { AdaloraError } from "../errors.ts";
import { isGenerationModel } from "../model/plugin.ts";
import { Stopped } from "../stopped.ts";
import type { Evaluation } from "../tasks/task.ts";
import { resumeNewest, saveCheckpoint } from "./checkpoint.ts";
import { addSeconds, PhaseClock } from "./clock.ts";
import { evaluateAll, noSelection, select, type Selection, tokensIn } from "./evaluation.ts";
import { trainingOrder } from "./order.ts";
import { type Progress, updateProgress } from "./progress.ts";
import type { TrainingObserver, TrainingOutcome, TrainingSetup } from "./setup.ts";
import { StepRunner } from "./step-runner.ts";
import { trainErrors } from "./train-errors.ts";

/**
 * The training loop: step -> log -> maybe save -> maybe evaluate. A checkpoint precedes the final
 * evaluation and every other one that may take long, so that none can lose a step. With `resume` it
 * continues from the newest intact checkpoint, with an evaluation if that one was interrupted.
 * Throws E_NOT_FINITE if the loss or gradient norm is not finite, or the outputs of an evaluation.
 */
export async function runTraining(
  setup: TrainingSetup,
  observer: TrainingObserver,
  { resume }: { resume: boolean },
): Promise<TrainingOutcome> {
  const loop = new TrainingLoop(setup, observer, resume);
  if (setup.trainer.steps === 0) await setup.initialize?.();
  try {
    return await loop.run();
  } catch (error) {
    loop.reportSteps(error);
    if (error instanceof Stopped) return loop.interrupt();
    throw error;
  }
}

// --- internal ---

/** An evaluation of at least this many seconds gets a checkpoint before it. */
const LONG_EVALUATION = 3;

const isNotFinite = (error: unknown): error is AdaloraError =>
  error instanceof AdaloraError && error.code === "E_NOT_FINITE";

class TrainingLoop {
  readonly #setup: TrainingSetup;
  readonly #observer: TrainingObserver;
  readonly #steps: StepRunner;
  readonly #clock: PhaseClock;
  /** The step of the newest checkpoint that this process wrote or read. */
  #savedStep = -1;
  #selection: Selection = noSelection;
  #evaluationSeconds: number | undefined;

  constructor(setup: TrainingSetup, observer: TrainingObserver, resume: boolean) {
    this.#setup = setup;
    this.#observer = observer;
    this.#steps = new StepRunner(setup, observer);
    const progress = resume ? this.#restore() : undefined;
    const before = { start: setup.startSeconds ?? 0, training: 0, evaluation: 0 };
    this.#clock = new PhaseClock(progress ? addSeconds(before, progress.seconds) : before);
  }

  #restore(): Progress | undefined {
    const { checkpointDir, backend, trainer, fingerprint } = this.#setup;
    const { progress, damaged } = resumeNewest(checkpointDir, backend, trainer, fingerprint);
    this.#observer.onResume(progress, damaged);
    if (progress) [this.#selection, this.#savedStep] = [progress, progress.step];
    return progress;
  }

  /** Trains and evaluates to the end. Throws `Stopped` on request. */
  async run(): Promise<TrainingOutcome> {
    const { options, trainer, train } = this.#setup;
    const order = trainingOrder(train.lengths, options);
    for (;;) {
      this.#checkStop();
      if (this.#isEvaluationPending) await this.#evaluate();
      else if (trainer.steps < options.steps && !this.#isOutOfPatience) {
        this.#step(order(trainer.steps));
        await Bun.sleep(0); // lets signal handlers and timers run
      } else break;
    }
    this.#steps.drain();
    if (trainer.isFinite()) this.#saveOnce();
    trainer.finish();
    const stoppedBy = this.#isOutOfPatience ? "early stopping" : "end";
    const final = await this.#evaluate({ isFinal: true });
    return this.#outcome(stoppedBy, final);
  }

  /**
   * Reports steps that `failure` has left unreported. Throws E_NOT_FINITE if one was its cause, and
   * `failure` itself where they cannot be read, unless it is a stop request.
   */
  reportSteps(failure: unknown): void {
    try {
      this.#steps.drain();
    } catch (error) {
      throw isNotFinite(error) || failure instanceof Stopped ? error : failure;
    }
  }

  /** Saves what the run needs to continue from here, the time spent included. */
  interrupt(): TrainingOutcome {
    this.#setup.checkFiles?.();
    if (this.#savedStep === this.#setup.trainer.steps) this.#updateSaved();
    else this.#saveOnce();
    return this.#outcome("interrupt", []);
  }

  #outcome(stoppedBy: TrainingOutcome["stoppedBy"], final: readonly Evaluation[]): TrainingOutcome {
    const { best } = this.#selection;
    const time = this.#clock.seconds();
    return { steps: this.#setup.trainer.steps, stoppedBy, best, final, time };
  }

  #checkStop(): void {
    if (this.#observer.stopRequested()) throw new Stopped("stopped on request");
  }

  /** Whether an evaluation belongs after the steps taken and has not been completed. */
  get #isEvaluationPending(): boolean {
    const { trainer, options } = this.#setup;
    const { steps } = trainer;
    const isScheduled = steps % options.evalSteps === 0 || steps === options.evalAfter;
    const isBetween = steps > 0 && steps < options.steps;
    return isScheduled && isBetween && this.#selection.evaluatedStep < steps;
  }

  get #isOutOfPatience(): boolean {
    const { earlyStopping } = this.#setup.options;
    return earlyStopping > 0 && this.#selection.evaluationsSinceBest >= earlyStopping;
  }

  #step(indices: readonly ArrayLike<number>[]): void {
    this.#setup.checkFiles?.();
    this.#steps.take(indices);
    const { trainer, options } = this.#setup;
    const done = trainer.steps;
    if (done % options.saveSteps === 0 && done < options.steps) this.#saveOnce();
  }

  /**
   * Saves a checkpoint unless one of this step is there. Throws E_NOT_FINITE instead of displacing
   * one that a run can be resumed from.
   */
  #saveOnce(): void {
    this.#steps.drain();
    const { trainer, checkpointDir, backend, options } = this.#setup;
    if (this.#savedStep === trainer.steps) return;
    this.#setup.checkFiles?.();
    if (!trainer.isFinite()) throw trainErrors.weightsNotFinite(trainer.steps, checkpointDir);
    saveCheckpoint(checkpointDir, backend, trainer, this.#progress(), options.saveLimit);
    this.#savedStep = trainer.steps;
    this.#observer.onCheckpoint(trainer.steps);
  }

  /** Replaces the progress in the checkpoint of this step. */
  #updateSaved(): void {
    const { checkpointDir, trainer } = this.#setup;
    updateProgress(join(checkpointDir, `step-${trainer.steps}`), this.#progress());
  }

  #progress(): Progress {
    const { trainer, fingerprint } = this.#setup;
    const { evaluations, evaluatedStep, best, bestCounted, evaluationsSinceBest } = this.#selection;
    const selection = { evaluations, evaluatedStep, best, bestCounted, evaluationsSinceBest };
    const { steps: step, passes } = trainer;
    return { step, passes, ...selection, seconds: this.#clock.seconds(), fingerprint };
  }

  /**
   * Evaluates every validation split and records the result, except in the checkpoint of a final
   * evaluation: a run that dies before its results are written needs that evaluation again.
   */
  async #evaluate({ isFinal = false } = {}): Promise<readonly Evaluation[]> {
    const { backend, model, validation, options, trainer } = this.#setup;
    this.#steps.drain();
    if (this.#expectedSeconds() >= LONG_EVALUATION && trainer.isFinite()) this.#saveOnce();
    this.#setup.checkFiles?.();
    const started = performance.now();
    this.#clock.enter("evaluation");
    try {
      const evaluations = await evaluateAll({
        backend,
        model,
        validation,
        batchSize: options.evalBatchSize,
        onProgress: (progress) => this.#observer.onEvaluationProgress?.(progress),
        stopRequested: () => this.#observer.stopRequested(),
      });
      const { isBest, ...selection } = select(this.#selection, trainer.steps, evaluations, {
        metric: options.metric,
        earlyStoppingFrom: options.earlyStoppingFrom ?? 0,
      });
      this.#selection = selection;
      this.#setup.checkFiles?.();
      if (evaluations.length > 0) this.#observer.onEvaluation(trainer.steps, evaluations, isBest);
      if (!isFinal && this.#savedStep === trainer.steps) this.#updateSaved();
      return evaluations;
    } catch (error) {
      const isIntact = trainer.isFinite();
      if (isIntact) this.#saveOnce();
      if (!isNotFinite(error)) throw error;
      const { checkpointDir } = this.#setup;
      throw trainErrors.evaluationNotFinite(
        trainer.steps,
        error,
        isIntact ? checkpointDir : undefined,
      );
    } finally {
      this.#clock.enter("training");
      this.#evaluationSeconds = (performance.now() - started) / 1000;
    }
  }

  /**
   * Predicted seconds of an evaluation: those of the last one; before it, by the training time of
   * its tokens; Infinity where it decodes.
   */
  #expectedSeconds(): number {
    if (this.#evaluationSeconds !== undefined) return this.#evaluationSeconds;
    const { model, validation } = this.#setup;
    const { tokens, seconds } = this.#steps.total;
    if (isGenerationModel(model) || tokens === 0) return Infinity;
    return (tokensIn(validation) * seconds) / tokens;
  }
}
