import { createSpeedometer } from "./speedometer.ts";

/** The length of a run, for estimates of its time. */
interface RunLength {
  /** Optimizer steps. */
  readonly steps: number;
  /** Steps between two evaluations. */
  readonly evalSteps: number;
  /** Tokens that an evaluation reads; 0 if the run has none. */
  readonly evaluationTokens: number;
}

/** Estimates the time that a run still takes, evaluations included. */
export interface TimeLeft {
  /** Adds a step's speed, the `done`th; returns the estimate after it. */
  step(
    done: number,
    speed: { tokens: number; seconds: number },
  ): { readonly tokensPerSecond: number; readonly secondsLeft: number };
  /** Adds the time of a whole evaluation. */
  evaluation(seconds: number): void;
}

/** A forward pass is about a third of a training step on the same tokens. */
const FORWARD_SHARE = 1 / 3;

/** Creates the estimate of a run; until its first evaluation that is estimated by its tokens. */
export function createTimeLeft({ steps, evalSteps, evaluationTokens }: RunLength): TimeLeft {
  const speedometer = createSpeedometer();
  let measured: number | undefined;
  return {
    step(done, speed) {
      const { tokensPerSecond, secondsPerStep } = speedometer.add(speed);
      const evaluation = measured ?? (FORWARD_SHARE * evaluationTokens) / tokensPerSecond;
      const evaluations = evaluationTokens === 0 ? 0 : evaluationsAfter(done, steps, evalSteps);
      const secondsLeft = secondsPerStep * (steps - done) + evaluation * evaluations;
      return { tokensPerSecond, secondsLeft };
    },
    evaluation(seconds) {
      measured = seconds;
    },
  };
}

/** Evaluations that follow after `done` steps: one at each multiple of `evalSteps`, and the last. */
function evaluationsAfter(done: number, steps: number, evalSteps: number): number {
  const multiples = Math.floor((steps - 1) / evalSteps) - Math.floor((done - 1) / evalSteps);
  return Math.max(0, multiples) + 1;
}
