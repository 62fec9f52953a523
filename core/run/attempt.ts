import { AdaloraError } from "../errors.ts";

/** Called for each problem of a run. */
export type OnProblem = (problem: AdaloraError) => void;

/** Runs a step; undefined if it failed with a problem, which was reported. */
export type Attempt = <T>(step: () => T | Promise<T>) => Promise<T | undefined>;

/** Wraps steps: an AdaloraError is reported to `onProblem`, and the step's result is undefined. */
export function attemptWith(onProblem: OnProblem): Attempt {
  return async (step) => {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof AdaloraError)) throw error;
      onProblem(error);
      return undefined;
    }
  };
}
