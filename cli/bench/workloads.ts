/** Distribution of the lengths of built-in sequences: log-normal within bounds. */
export interface Lengths {
  readonly mean: number;
  readonly spread: number;
  readonly min: number;
  readonly max: number;
}

/**
 * The work to measure: a training step of a task, a batch of predictions, or of generated
 * summaries.
 */
export interface Workload {
  readonly kind: "classify" | "answer" | "summarize" | "predict" | "generate";
  /** Sequences in a batch. */
  readonly rows: number;
  /** Lengths in built-in batches, similar to those of the task that the workload is named after. */
  readonly lengths: Lengths;
  /** Lengths of the targets in built-in batches. */
  readonly targets?: Lengths;
  /** Padded length, where the loss counts padded positions; default: the batch's longest row. */
  readonly width?: number;
}

const lengths = (mean: number, spread: number, min: number, max: number): Lengths => ({
  mean,
  spread,
  min,
  max,
});

const articles = lengths(430, 0.6, 60, 768);
const summaries = lengths(27, 0.3, 12, 64);

/** Every workload, by name. */
export const workloads = {
  "rte-b32": { kind: "classify", rows: 32, lengths: lengths(58, 0.5, 17, 289) },
  "sst2-b32": { kind: "classify", rows: 32, lengths: lengths(11, 0.55, 4, 60) },
  "cola-b32": { kind: "classify", rows: 32, lengths: lengths(10.5, 0.35, 5, 45) },
  "squad-b16": { kind: "answer", rows: 16, lengths: lengths(168, 0.4, 40, 384), width: 384 },
  "full-b16": { kind: "classify", rows: 16, lengths: lengths(128, 0, 128, 128) },
  "xsum-b8": { kind: "summarize", rows: 8, lengths: articles, targets: summaries },
  "sst2-predict-b32": { kind: "predict", rows: 32, lengths: lengths(22, 0.4, 5, 60) },
  "xsum-generate-b8": { kind: "generate", rows: 8, lengths: articles },
} as const satisfies Readonly<Record<string, Workload>>;

/** The name of a workload: "rte-b32". */
export type WorkloadName = keyof typeof workloads;

/** Names of all workloads, in the order of the help page. */
export const workloadNames = Object.keys(workloads).filter(isWorkload);

/** Whether a word is the name of a workload. */
export function isWorkload(name: string): name is WorkloadName {
  return Object.hasOwn(workloads, name);
}

/** Whether a workload trains. */
export const isTraining = (name: WorkloadName) =>
  !["predict", "generate"].includes(workloadOf(name).kind);

/** The workload of a name. */
export const workloadOf = (name: WorkloadName): Workload => workloads[name];
