import { AdaloraError } from "../errors.ts";

/** Follows the reading of a split row by row. */
export interface RowObserver {
  /** A row that can't be used; it is left out. */
  onProblem(problem: AdaloraError): void;
  /** A usable row, in the order of the examples. */
  onRow(location: () => string): void;
}

/**
 * Reads a row. With an observer, an AdaloraError is a problem of this row, which is left out:
 * undefined. Without one it is thrown, so that a run stops at its first bad row.
 */
export function attemptRow<T>(read: () => T, observer: RowObserver | undefined): T | undefined {
  try {
    return read();
  } catch (error) {
    if (observer === undefined || !(error instanceof AdaloraError)) throw error;
    observer.onProblem(error);
    return undefined;
  }
}
