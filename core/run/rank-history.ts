import { layerOf } from "../model/layer-of.ts";
import { nameInLayer } from "../model/select-linears.ts";
import type { MaskReport, StepReport } from "../train/step-report.ts";
import type { Trainer } from "../train/trainer.ts";
import type { PreparedRun } from "./prepare.ts";
import type { Environment } from "./results.ts";

/** How many records of a run hold singular values and importance, at most. */
const MOST_VALUES = 200;

/**
 * The first record of a log: what its other records are about. A matrix is [path, stack of layers,
 * layer, module, initial rank]; steps are counts.
 */
export function headRecord(
  { config, schedule, target, declared }: PreparedRun,
  trainer: Trainer<never>,
  environment: Environment,
) {
  const matrices = trainer.adapters.map(({ path, rank }) => {
    const { stack, layer } = layerOf(path);
    return [path, stack, layer, nameInLayer(path, declared.plugin), rank];
  });
  return {
    step: 0,
    run: {
      task: config.task,
      method: config.method,
      steps: schedule.steps,
      steps_per_epoch: schedule.stepsPerEpoch,
      train_rows: schedule.trainRows,
      init_warmup: schedule.initWarmup,
      final_warmup: schedule.finalWarmup,
      init_total_rank: target?.initTotalRank ?? null,
      target_total_rank: target?.targetTotalRank ?? null,
      init_parameters: target?.initParameters ?? null,
      target_parameters: target?.targetParameters ?? null,
      matrices,
      environment,
    },
  };
}

/** What a mask did. Triplets are numbered over all matrices, in the order of the first record. */
export interface MaskRecord {
  readonly step: number;
  readonly mask: {
    /** Triplets kept. */
    readonly kept: number;
    /** Triplets that the mask before kept and this one does not, and the reverse. */
    readonly pruned: readonly number[];
    readonly revived: readonly number[];
    /** |E| of each matrix's kept triplets; at some masks only. */
    readonly singular?: readonly (readonly number[])[];
    /** Mean and largest importance of each matrix's triplets, pruned ones included. */
    readonly importance?: readonly (readonly number[])[];
  };
}

/**
 * Makes the records of a run's masks. A mask that changes nothing has none, unless it has values.
 */
export class RankHistory {
  readonly #valueSteps: number;
  #kept: readonly (readonly boolean[])[];

  /** `kept`: the triplets that the last mask kept; the checkpoint's in a resumed run. */
  constructor(kept: readonly (readonly boolean[])[], steps: number, maskInterval: number) {
    this.#kept = kept;
    this.#valueSteps = maskInterval * Math.ceil(steps / (MOST_VALUES * maskInterval));
  }

  /** The triplets of each adapter that the last recorded step's mask kept, or one before it. */
  get kept(): readonly (readonly boolean[])[] {
    return this.#kept;
  }

  /** The record of a step's mask; undefined if there is nothing to record. */
  record({ step, mask }: StepReport, isLast: boolean): MaskRecord | undefined {
    if (!mask) return undefined;
    const [before, flat] = [this.#kept.flat(), mask.kept.flat()];
    const [pruned, revived] = [newlyTrue(before, flat), newlyTrue(flat, before)];
    this.#kept = mask.kept;
    const hasValues = isLast || step % this.#valueSteps === 0;
    if (!hasValues && pruned.length === 0 && revived.length === 0) return undefined;
    const values = hasValues ? valuesOf(mask) : {};
    const count = flat.filter(Boolean).length;
    return { step: step + 1, mask: { kept: count, pruned, revived, ...values } };
  }
}

// --- internal ---

function valuesOf({
  kept,
  magnitudes,
  importance,
}: MaskReport): Pick<MaskRecord["mask"], "singular" | "importance"> {
  const byMatrix = (values: Float64Array) => {
    let end = 0;
    return kept.map(({ length }) => values.subarray(end, (end += length)));
  };
  return {
    ...(magnitudes && {
      singular: byMatrix(magnitudes).map((part, i) =>
        Array.from(
          part.filter((_, k) => kept[i]?.[k]),
          short,
        ),
      ),
    }),
    ...(importance && {
      importance: byMatrix(importance).map((part) => [
        short(part.reduce((sum, one) => sum + one, 0) / part.length),
        short(part.reduce((most, one) => Math.max(most, one), 0)),
      ]),
    }),
  };
}

/** Where `before` is true and `after` is not. */
const newlyTrue = (before: readonly boolean[], after: readonly boolean[]): number[] =>
  before.flatMap((one, i) => (one && after[i] !== true ? [i] : []));

/** Three digits are enough to draw, and keep the log small. */
const short = (value: number) => Number(value.toPrecision(3));
