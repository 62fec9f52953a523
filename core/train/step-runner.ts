import type { Speed, TrainingObserver, TrainingSetup } from "./setup.ts";
import { trainErrors } from "./train-errors.ts";
import type { QueuedStep } from "./trainer.ts";

/** A queued step whose report has not been read. */
interface PendingStep extends QueuedStep {
  readonly indices: readonly ArrayLike<number>[];
  readonly tokens: number;
  /** `performance.now()` when the host began it. */
  readonly start: number;
}

/**
 * Takes steps and reports them. On a synchronous backend a step is reported at once; on an
 * asynchronous one after the next step is queued, so that the device never waits for the host. Call
 * `drain` before anything that relies on the steps taken, such as an evaluation or a checkpoint.
 */
export class StepRunner {
  readonly #setup: Pick<TrainingSetup, "trainer" | "train" | "checkpointDir">;
  readonly #observer: Pick<TrainingObserver, "onStep">;
  #pending: PendingStep | undefined;
  #lastRead = -Infinity;
  #total: Speed = { tokens: 0, seconds: 0 };

  constructor(
    setup: Pick<TrainingSetup, "trainer" | "train" | "checkpointDir">,
    observer: Pick<TrainingObserver, "onStep">,
  ) {
    this.#setup = setup;
    this.#observer = observer;
  }

  /** Tokens and seconds of all reported steps. */
  get total(): Speed {
    return this.#total;
  }

  /**
   * Queues a step on the training rows of `indices`, a micro-batch each. Throws E_NOT_FINITE if the
   * loss or the gradient norm of a step that it reports is not finite.
   */
  take(indices: readonly ArrayLike<number>[]): void {
    const { trainer, train } = this.#setup;
    const start = performance.now();
    const batches = indices.map((batch) => train.batch(batch));
    const tokens = batches.reduce((sum, batch) => sum + batch.tokens, 0);
    const { report } = trainer.startStep(batches);
    this.drain();
    this.#pending = { report, indices, tokens, start };
    if (!trainer.isAsynchronous) this.drain();
  }

  /** Reports the step that is still pending, if any. Throws as `take` does. */
  drain(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    const report = pending.report();
    const now = performance.now();
    // A step that is queued while its predecessor runs begins when that one ends.
    const seconds = (now - Math.max(pending.start, this.#lastRead)) / 1000;
    this.#lastRead = now;
    if (!Number.isFinite(report.taskLoss) || !Number.isFinite(report.gradNorm)) {
      throw trainErrors.notFinite(
        { ...report, step: report.step + 1 },
        pending.indices.flatMap((batch) => Array.from(batch)),
        this.#setup.checkpointDir,
      );
    }
    const { tokens } = pending;
    this.#total = { tokens: this.#total.tokens + tokens, seconds: this.#total.seconds + seconds };
    this.#observer.onStep(report, { tokens, seconds });
  }
}
