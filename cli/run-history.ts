import { isOneOf, pruningMethods } from "../core/config/method.ts";
import { nameInLayer } from "../core/model/select-linears.ts";
import { peakResidentMemory } from "../core/process-memory.ts";
import type { PreparedRun } from "../core/run/prepare.ts";
import type { PanelBudget, PanelMetric, RunPanel } from "./run-panel.ts";

/** What a run's panel shows of the steps so far. */
export interface RunHistory {
  step(loss: number): void;
  /** Adds the metrics of the first split; `isBest`: they are the best of the run so far. */
  evaluation(step: number, metrics: Readonly<Record<string, number>>, isBest: boolean): void;
  /** Replaces the ranks, keyed as in `rank_pattern.json`. */
  ranks(ranks: Readonly<Record<string, number>>): void;
  panel(): RunPanel;
}

/** Losses are kept as at most this many means. */
const MOST_LOSSES = 400;

/** Collects what a run's panel shows. */
export function createRunHistory(run: PreparedRun): RunHistory {
  const { config, schedule, spec, validation } = run;
  const name = config.metric ?? spec.defaultMetric;
  const isEvaluated = validation.some(({ isLabelled }) => isLabelled);
  const losses = createMeans(MOST_LOSSES);
  const values: number[] = [];
  let best: PanelMetric["best"] | undefined;
  let kinds: RunPanel["ranks"] = [];
  return {
    step: (loss) => losses.add(loss),
    evaluation(step, metrics, isBest) {
      const value = metrics[name];
      if (value === undefined) return;
      values.push(value);
      if (isBest) best = { value, step };
    },
    ranks(ranks) {
      const named = Object.entries(ranks).map(([key, rank]) => {
        const module = nameInLayer(key.replace(/\.lora_E$/, ""), run.declared.plugin);
        return { module, rank };
      });
      const byModule = Map.groupBy(named, ({ module }) => module);
      kinds = Array.from(byModule, ([module, all]) => {
        const mean = all.reduce((sum, { rank }) => sum + rank, 0) / all.length;
        return [module, mean] as const;
      });
    },
    panel: () => ({
      evalSteps: isEvaluated ? (config.evalSteps ?? schedule.stepsPerEpoch) : 0,
      losses: losses.values(),
      metric: values.length > 0 ? { name, values, best } : undefined,
      budget: budgetOf(run),
      ranks: kinds,
      memory: { now: process.memoryUsage.rss(), peak: peakResidentMemory() },
    }),
  };
}

// --- internal ---

function budgetOf({ config, target }: PreparedRun): PanelBudget | undefined {
  return isOneOf(config.method, pruningMethods) ? target?.budget : undefined;
}

/** A series as at most `most` means of equally many values. */
function createMeans(most: number) {
  let means: number[] = [];
  let size = 1;
  let [sum, count] = [0, 0];
  return {
    add(value: number): void {
      [sum, count] = [sum + value, count + 1];
      if (count < size) return;
      means.push(sum / count);
      [sum, count] = [0, 0];
      if (means.length < most) return;
      means = Array.from({ length: most / 2 }, (_, i) => (means[2 * i]! + means[2 * i + 1]!) / 2);
      size *= 2;
    },
    values: (): readonly number[] => (count > 0 ? [...means, sum / count] : means),
  };
}
