/** A case that a reader must not have. */
export interface Finding {
  readonly target: string;
  readonly index: number;
  readonly what: "crash" | "hang" | "memory" | "message";
  readonly detail: string;
}

/** What the cases of a reader gave. */
export interface Outcome {
  cases: number;
  /** Inputs that were read, in spite of the change. */
  read: number;
  /** Inputs that an AdaloraError refused. */
  refused: number;
  /** The largest growth of the process in one case, in bytes. */
  memory: number;
  /** The most processor time of one case, in milliseconds. */
  milliseconds: number;
  readonly findings: Finding[];
}

/** Nothing yet. */
export const noOutcome = (): Outcome => ({
  cases: 0,
  read: 0,
  refused: 0,
  memory: 0,
  milliseconds: 0,
  findings: [],
});

/** Adds the second outcome to the first. */
export function addOutcome(sum: Outcome, part: Outcome): void {
  sum.cases += part.cases;
  sum.read += part.read;
  sum.refused += part.refused;
  sum.memory = Math.max(sum.memory, part.memory);
  sum.milliseconds = Math.max(sum.milliseconds, part.milliseconds);
  sum.findings.push(...part.findings);
}

/** A child's instructions on its command line, as JSON. */
export interface Job {
  readonly target: string;
  readonly seed: number;
  /** Index of the first case. */
  readonly from: number;
  /** How many cases at most, and for how long. */
  readonly cases: number;
  readonly milliseconds: number;
  /** A file of 8 bytes, in which the child keeps the index of its case. */
  readonly position: string;
}
