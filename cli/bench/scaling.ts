import type { Backend } from "../../core/backend.ts";
import { findModel } from "./checkpoints.ts";
import type { MeasureOptions } from "./measure.ts";
import { openWorkload } from "./open-workload.ts";
import { otherCpuSeconds } from "./process-facts.ts";
import { type BenchRow, readRows } from "./rows.ts";
import { type MeasuredWorkload, type Spread, spread } from "./summary.ts";
import { workloadOf } from "./workloads.ts";

const SIZES = [4, 8, 16, 32, 64];

/** The step times of one batch size. */
export interface ScalingPoint {
  readonly rows: number;
  readonly tokens: number;
  readonly seconds: Spread;
  readonly secondsPerToken: number;
  /** Its time relative to the linear cost that fits all sizes; 1 is exactly linear. */
  readonly ofLinear: number;
}

/** Step times by batch size, and the linear cost that fits them. */
export interface Scaling extends MeasuredWorkload {
  readonly points: readonly ScalingPoint[];
  /** Slope of the linear cost. */
  readonly secondsPerToken: number;
  readonly otherLoad: number;
}

/** Times steps of 4 to 64 rows with the same mix of lengths, alternating the sizes. */
export async function measureScaling(
  backend: Backend,
  options: MeasureOptions & { readonly rounds: number },
): Promise<Scaling> {
  const workload = workloadOf(options.workload);
  const work = openWorkload(backend, workload, findModel(workload, options.model), {
    checkpointing: options.checkpointing,
  });
  const all = readRows(options.workload, options.batches, work.vocabSize).flat();
  const sizes = SIZES.filter((rows) => rows <= all.length);
  const batches = sizes.map((rows) => evenSample(all, rows));
  const seconds = batches.map((): number[] => []);
  for (let i = 0; i < options.warmup; i++) for (const batch of batches) await work.step(batch);
  const others = otherCpuSeconds();
  const start = performance.now();
  for (let i = 0; i < options.rounds * options.steps; i++) {
    for (const [size, batch] of batches.entries()) {
      const began = performance.now();
      await work.step(batch);
      seconds[size]?.push((performance.now() - began) / 1000);
    }
  }
  const otherLoad = (otherCpuSeconds() - others) / ((performance.now() - start) / 1000);
  const samples = batches.map((batch, i) => ({
    rows: batch.length,
    tokens: work.tokens(batch),
    seconds: spread(seconds[i]!),
  }));
  return {
    workload: options.workload,
    checkpointing: options.checkpointing,
    otherLoad: Math.max(0, otherLoad),
    ...fitLinearCost(samples),
  };
}

/**
 * Fits a cost per token: the geometric mean of the smallest and the largest, which minimizes the
 * largest ratio of a point to it.
 */
export function fitLinearCost(
  samples: readonly Pick<ScalingPoint, "rows" | "tokens" | "seconds">[],
): Pick<Scaling, "points" | "secondsPerToken"> {
  const each = samples.map(({ tokens, seconds }) => seconds.median / tokens);
  const secondsPerToken = Math.sqrt(Math.min(...each) * Math.max(...each));
  const points = samples.map((sample, i) => ({
    ...sample,
    secondsPerToken: each[i]!,
    ofLinear: each[i]! / secondsPerToken,
  }));
  return { points, secondsPerToken };
}

// --- internal ---

/** Rows at regular intervals in order of length, so that a small sample has the same mix. */
function evenSample(rows: readonly BenchRow[], count: number): readonly BenchRow[] {
  const sorted = rows.toSorted((a, b) => a.ids.length - b.ids.length);
  return Array.from({ length: count }, (_, i) => {
    return sorted[Math.floor(((i + 0.5) * sorted.length) / count)]!;
  });
}
