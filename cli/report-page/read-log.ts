import { existsSync } from "node:fs";
import { isJsonObject, type JsonObject } from "../../core/io/json-file.ts";
import { metricsIn } from "../../core/io/json-numbers.ts";
import { readRegular } from "../../core/io/regular-file.ts";

/** The fields of a step's record that are drawn as curves, as log.jsonl names them. */
export const stepFields = [
  "task_loss",
  "orth_loss",
  "grad_norm",
  "lr",
  "lr_e",
  "budget",
  "threshold",
  "tokens_per_second",
] as const;

/** A field of a step's record. */
export type StepField = (typeof stepFields)[number];

/** Values by step; NaN where the log has none. */
export interface Series {
  readonly steps: readonly number[];
  readonly values: readonly number[];
}

/** One mask: which triplets it changed, and at some masks what the triplets are worth. */
export interface LoggedMask {
  readonly step: number;
  readonly kept: number;
  readonly pruned: readonly number[];
  readonly revived: readonly number[];
  /** |E| of each matrix's kept triplets. */
  readonly singular: readonly (readonly number[])[] | undefined;
  /** [mean, largest] importance of each matrix's triplets. */
  readonly importance: readonly (readonly number[])[] | undefined;
}

/** The metrics of one split after `step` steps. */
export interface LoggedEvaluation {
  readonly step: number;
  readonly split: string;
  readonly metrics: Readonly<Record<string, number>>;
}

/** A run's log. */
export interface RunLog {
  /** What the first record says of the run; {} in logs of earlier versions. */
  readonly head: JsonObject;
  /** The last step that has a record; 0 for an empty log. */
  readonly lastStep: number;
  readonly curves: Readonly<Record<StepField, Series>>;
  readonly evaluations: readonly LoggedEvaluation[];
  readonly masks: readonly LoggedMask[];
}

/**
 * Reads log.jsonl; without the file everything is empty. Damaged lines are skipped: a killed
 * process leaves a torn one, and a report is made of what is there. Throws E_FILE where it cannot
 * be read.
 */
export function readLog(path: string): RunLog {
  const empty = (): { steps: number[]; values: number[] } => ({ steps: [], values: [] });
  const curves = {
    task_loss: empty(),
    orth_loss: empty(),
    grad_norm: empty(),
    lr: empty(),
    lr_e: empty(),
    budget: empty(),
    threshold: empty(),
    tokens_per_second: empty(),
  } satisfies Record<StepField, unknown>;
  const evaluations: LoggedEvaluation[] = [];
  const masks: LoggedMask[] = [];
  let head: JsonObject = {};
  let lastStep = 0;
  for (const record of records(path)) {
    const { step, run, evaluation, mask } = record;
    if (typeof step !== "number" || !Number.isSafeInteger(step)) continue;
    lastStep = Math.max(lastStep, step);
    if (isJsonObject(run)) head = run;
    else if (isJsonObject(mask)) masks.push(maskOf(step, mask));
    else if (evaluation !== undefined) {
      for (const [split, metrics] of Object.entries(metricsIn(evaluation)))
        evaluations.push({ step, split, metrics });
    } else {
      for (const field of stepFields) {
        const value = record[field];
        if (typeof value !== "number") continue;
        curves[field].steps.push(step);
        curves[field].values.push(value);
      }
    }
  }
  return { head, lastStep, curves, evaluations, masks };
}

// --- internal ---

const LINE_FEED = 0x0a;

function* records(path: string): Generator<JsonObject> {
  if (!existsSync(path)) return;
  const bytes = readRegular(path);
  const decoder = new TextDecoder();
  for (let start = 0; start < bytes.length;) {
    const feed = bytes.indexOf(LINE_FEED, start);
    const end = feed < 0 ? bytes.length : feed;
    const record = parsed(decoder.decode(bytes.subarray(start, end)));
    if (record) yield record;
    start = end + 1;
  }
}

function parsed(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function maskOf(step: number, mask: JsonObject): LoggedMask {
  return {
    step,
    kept: Number(mask["kept"]),
    pruned: numbers(mask["pruned"]),
    revived: numbers(mask["revived"]),
    singular: lists(mask["singular"]),
    importance: lists(mask["importance"]),
  };
}

const numbers = (value: unknown): readonly number[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === "number") : [];

const lists = (value: unknown) => (Array.isArray(value) ? value.map(numbers) : undefined);
