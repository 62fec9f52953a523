/** Seconds spent on each phase of a run, those before an interruption included. */
export interface PhaseSeconds {
  /** Reading and tokenizing the data, loading the weights, initializing the adapters. */
  readonly start: number;
  /** Optimizer steps and checkpoints. */
  readonly training: number;
  readonly evaluation: number;
}

/** Measures the phases of a run. */
export class PhaseClock {
  readonly #before: PhaseSeconds;
  readonly #spent: Record<keyof PhaseSeconds, number> = { start: 0, training: 0, evaluation: 0 };
  #phase: keyof PhaseSeconds = "training";
  #since = performance.now();

  /** `before`: seconds spent so far. The clock starts in the phase "training". */
  constructor(before: PhaseSeconds) {
    this.#before = before;
  }

  /** Ends the current phase and begins another. */
  enter(phase: keyof PhaseSeconds): void {
    const now = performance.now();
    this.#spent[this.#phase] += (now - this.#since) / 1000;
    this.#since = now;
    this.#phase = phase;
  }

  /** Seconds of each phase up to now. */
  seconds(): PhaseSeconds {
    this.enter(this.#phase);
    return addSeconds(this.#before, this.#spent);
  }
}

/** The sums of two runs' phases. */
export function addSeconds(a: PhaseSeconds, b: PhaseSeconds): PhaseSeconds {
  return {
    start: a.start + b.start,
    training: a.training + b.training,
    evaluation: a.evaluation + b.evaluation,
  };
}

/** Seconds of all phases together. */
export const totalSeconds = ({ start, training, evaluation }: PhaseSeconds): number =>
  start + training + evaluation;
