import { budgetAt, masksAt } from "../../core/adalora/budget.ts";
import type { Backend } from "../../core/backend.ts";
import type { AdamWStep, Averages } from "../../core/kernels/training.ts";
import { bucketOf } from "../../models/deberta/relative-positions.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import { type GoldenCase } from "../../core/model/golden-case.ts";
import { type Tolerance } from "./golden-case.ts";

interface ScheduleRow {
  readonly modules: number;
  readonly r: number;
  readonly target_total: number;
  readonly total_rank: number;
  readonly init_warmup: number;
  readonly final_warmup: number;
  readonly mask_interval: number;
  readonly total_step: number;
  readonly steps?: number[];
  readonly budget?: number[];
  readonly mask?: number[];
  readonly raises?: string;
}

/** The budget and the masking steps of each schedule. */
export function checkScheduleTable({ golden }: GoldenCase): CaseResult {
  const comparison = new Comparison({ least: 1 });
  for (const row of golden["rows"] as ScheduleRow[]) {
    const schedule = {
      initial: row.r * row.modules,
      target: row.target_total,
      warmup: row.init_warmup,
      finalTuning: row.final_warmup,
      interval: row.mask_interval,
      steps: row.total_step,
    };
    if (row.raises) {
      comparison.same(
        "raises",
        throws(() => budgetAt(0, schedule)),
        true,
        JSON.stringify(schedule),
      );
      continue;
    }
    const steps = row.steps ?? [];
    comparison.same(
      "budget",
      steps.map((step) => budgetAt(step, schedule)),
      row.budget,
    );
    comparison.same(
      "mask",
      steps.map((step) => Number(masksAt(step, schedule))),
      row.mask,
    );
  }
  return comparison.result;
}

function throws(body: () => void): boolean {
  try {
    body();
    return false;
  } catch {
    return true;
  }
}

/** The bucket of every offset. */
export function checkBucketTable({ golden }: GoldenCase): CaseResult {
  const comparison = new Comparison({ least: 1 });
  interface Row {
    readonly length: number;
    readonly position_buckets: number;
    readonly max_position: number;
    readonly non_negative: number[];
    readonly non_positive: number[];
  }
  for (const row of golden["rows"] as Row[]) {
    const geometry = {
      positionBuckets: Math.max(0, row.position_buckets),
      maxRelativePositions: row.max_position,
    };
    const buckets = (sign: number) =>
      Array.from({ length: row.length }, (_, d) => bucketOf(sign * d, geometry) + 0); // + 0: no -0
    comparison.same("non_negative", buckets(1), row.non_negative);
    comparison.same("non_positive", buckets(-1), row.non_positive);
  }
  return comparison.result;
}

type Numbers = number[] | number[][];
interface MaskingRow {
  readonly dims: [number, number][];
  readonly r: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly updates: {
    readonly grad: Record<string, Numbers>;
    readonly param: Record<string, Numbers>;
    readonly exp_avg_ipt: Record<string, Numbers>;
    readonly exp_avg_unc: Record<string, Numbers>;
  }[];
  readonly after_tie?: {
    readonly exp_avg_ipt: Record<string, Numbers>;
    readonly exp_avg_unc: Record<string, Numbers>;
  };
  readonly scores: number[];
  readonly total_rank: number;
  readonly masks: {
    budget: number;
    threshold?: number;
    kept?: Record<string, number[]>;
    raises?: string;
  }[];
}

/** The moving averages, the triplet scores, and the mask of every budget, ties included. */
export function checkMaskingTable(
  backend: Backend,
  { golden }: GoldenCase,
  tolerance: Tolerance,
): CaseResult {
  const comparison = new Comparison({ least: 1 });
  for (const row of golden["rows"] as MaskingRow[])
    checkMaskingRow(backend, row, tolerance, comparison);
  return comparison.result;
}

/** An update that leaves the parameter as it is. */
const AT_REST: AdamWStep = {
  variant: "adamw",
  lr: 0,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0,
  t: 1,
};

function checkMaskingRow(
  backend: Backend,
  row: MaskingRow,
  tolerance: Tolerance,
  comparison: Comparison,
): void {
  const flat = (numbers: Numbers): number[] => numbers.flat();
  const buffer = (numbers: readonly number[]) => {
    const out = backend.alloc(backend.master, numbers.length);
    backend.upload(out, numbers);
    return out;
  };
  const averages = new Map<string, Averages>();
  for (const update of row.updates) {
    for (const [name, numbers] of Object.entries(update.param)) {
      const param = buffer(flat(numbers));
      const grad = buffer(flat(update.grad[name]!));
      const of = averages.get(name) ?? {
        sensitivity: buffer(flat(numbers).fill(0)),
        uncertainty: buffer(flat(numbers).fill(0)),
      };
      averages.set(name, of);
      const betas = { beta1: row.beta1 ?? 0.85, beta2: row.beta2 ?? 0.85 };
      const [m, v] = [buffer(flat(numbers).fill(0)), buffer(flat(numbers).fill(0))];
      backend.adamw(param, grad, m, v, AT_REST, { ...of, ...betas });
      comparison.close(
        "exp_avg_ipt",
        backend.download(of.sensitivity),
        flat(update.exp_avg_ipt[name]!),
        tolerance.training,
      );
      comparison.close(
        "exp_avg_unc",
        backend.download(of.uncertainty),
        flat(update.exp_avg_unc[name]!),
        tolerance.training,
      );
    }
  }
  for (const [name, of] of averages) {
    if (!row.after_tie) continue;
    backend.upload(of.sensitivity, flat(row.after_tie.exp_avg_ipt[name]!));
    backend.upload(of.uncertainty, flat(row.after_tie.exp_avg_unc[name]!));
  }
  const scores = buffer(Array.from<number>({ length: row.total_rank }).fill(0));
  const triplets = row.dims.map(([inFeatures, outFeatures], m) => {
    const of = (factor: string) => averages.get(`m.${m}.lora_${factor}`)!;
    const view = backend.view(scores, m * row.r, row.r);
    const shape = { rank: row.r, inFeatures, outFeatures };
    return { a: of("A"), e: of("E"), b: of("B"), scores: view, ...shape };
  });
  backend.tripletScores(triplets, true);
  comparison.close("scores", backend.download(scores), row.scores, tolerance.training);
  const kept = buffer(row.scores.map(() => 0));
  const threshold = buffer([0]);
  for (const mask of row.masks) {
    backend.keepTop(scores, mask.budget, kept, threshold);
    const got = Array.from(backend.download(kept));
    const at = `budget ${mask.budget}`;
    if (mask.raises) {
      comparison.same(
        "unpruned",
        got,
        row.scores.map(() => 1),
        at,
      ); // the reference crashes here; nothing is to be pruned
      continue;
    }
    comparison.close(
      "threshold",
      backend.download(threshold),
      [mask.threshold!],
      tolerance.training,
      at,
    );
    comparison.same("kept", got, Object.values(mask.kept!).flat(), at);
  }
}
