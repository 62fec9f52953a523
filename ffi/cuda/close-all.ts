/** Takes what closes something that has been opened; the last opened is closed first. */
export type OnOpen = (close: () => void) => void;

/** Runs all steps, whichever of them fail, and then throws the first one's error. */
export function closeAll(steps: readonly (() => void)[]): void {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/**
 * Runs `work` and closes what it has opened, the last opened first, also where it fails. Throws the
 * first error.
 */
export function whileOpen<T>(work: (onOpen: OnOpen) => T): T {
  const held: (() => void)[] = [];
  const close = () => closeAll(held);
  const result = closedIfFailed(close, () => work((step) => void held.unshift(step)));
  close();
  return result;
}

/** Runs `work`, and `close` only where it fails. Throws the error of `work`. */
export function closedIfFailed<T>(close: () => void, work: () => T): T {
  try {
    return work();
  } catch (error) {
    try {
      close();
    } catch {
      // the first error counts
    }
    throw error;
  }
}
