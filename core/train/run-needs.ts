import type { Backend } from "../backend.ts";
import { createCountingBackend, elementBytes } from "../backend/counting.ts";
import { evaluationBatches } from "../data/batching.ts";
import { Run } from "../run.ts";
import type { RunConfig } from "./config.ts";
import { createTrainer } from "./create-trainer.ts";
import { adapting, isOneOf, pruning } from "./method.ts";
import { declareRunModel } from "./model-files.ts";
import type { PreparedRun } from "./prepare.ts";
import type { Dataset } from "./task.ts";

/** What a run takes, in bytes, known without doing it. */
export interface RunNeeds {
  /** Memory of the parameters that stay as they are. */
  readonly weights: number;
  /** Memory of what is trained and of the largest batch: the most that is allocated at once. */
  readonly training: number;
  /** Both, and what comes on top: the pool's size classes waste up to an eighth, and the program and its data need room too. */
  readonly memory: number;
  /** One checkpoint on the disk. */
  readonly checkpoint: number;
  /** All that the run may have on the disk at once. */
  readonly disk: number;
}

/**
 * Takes one training step on the longest rows, and one evaluation, on a backend that only counts. The longest rows seldom come
 * together: this is an upper bound.
 */
export function runNeeds(run: PreparedRun): RunNeeds {
  const { config, files, spec, train, validation } = run;
  const backend = createCountingBackend(typesOf(config));
  const declared = declareRunModel(files, spec, config);
  const { adapted, trainer } = createTrainer(backend, { ...run, declared });
  trainer.step([train.batch(longestItems(train, config.batchSize))]);
  for (const dataset of validation) {
    const items = longestItems(dataset, config.evalBatchSize);
    const pass = new Run(backend, { training: false });
    pass.scope(() => dataset.forward(pass, adapted.model, items));
  }
  const master = elementBytes[backend.master];
  const state = Object.values(trainer.state).reduce((sum, { length }) => sum + length, 0);
  const checkpoint = state * master;
  const all = [...adapted.tree.parameters.values()];
  const frozen = all.filter(({ requiresGrad }) => !requiresGrad);
  const weights = frozen.reduce(
    (sum, { buffer }) => sum + buffer.length * elementBytes[buffer.dtype],
    0,
  );
  const training = backend.memory().peak;
  return {
    weights,
    training,
    memory:
      weights +
      training * (9 / 8) +
      PROGRAM +
      total([train, ...validation].map(({ bytes }) => bytes)),
    checkpoint,
    disk:
      checkpointsAtOnce(run) * checkpoint +
      resultBytes(run, trainer.arena.length, all) +
      logBytes(run, adapted.adapters.length),
  };
}

// --- internal ---

/** Bun, this program, oneDNN and its generated code. */
const PROGRAM = 128 * 2 ** 20;

const total = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0);

function typesOf({ device, dtype }: RunConfig): Pick<Backend, "activation" | "master"> {
  if (device === "reference") return { activation: "f64", master: "f64" };
  return { activation: dtype === "bf16" ? "bf16" : "f32", master: "f32" };
}

function longestItems({ lengths }: Dataset, size: number): ArrayLike<number> {
  return evaluationBatches(lengths, size)[0] ?? [];
}

/** Those that are kept, and the one that is written before the oldest is removed; one for an interruption at least. */
function checkpointsAtOnce({ config, schedule }: PreparedRun): number {
  const written = Math.floor((schedule.steps - 1) / config.saveSteps) + 1;
  return Math.min(written, config.saveLimit + 1);
}

/** The adapters, the best and the last, or the model: in f32, whatever the backend computes in. */
function resultBytes(
  { config }: PreparedRun,
  trained: number,
  parameters: readonly { readonly length: number }[],
): number {
  const model = parameters.reduce((sum, { length }) => sum + length, 0);
  return 4 * 2 * (isOneOf(config.method, adapting) ? trained : model);
}

/** A line of the log and the points of the curves at each logged step; the ranks are a curve a matrix. */
function logBytes({ config, schedule }: PreparedRun, matrices: number): number {
  const [lineBytes, pointBytes, curves] = [250, 140, 6];
  const points = curves + (isOneOf(config.method, pruning) ? matrices : 0);
  return Math.ceil(schedule.steps / config.logSteps) * (lineBytes + pointBytes * points);
}
