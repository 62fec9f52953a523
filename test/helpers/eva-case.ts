import { join } from "node:path";
import type { StartBatch, StartContext } from "../../core/adalora/start.ts";
import type { Backend } from "../../core/backend.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import type { Model, TaskHead } from "../../core/model/plugin.ts";
import { type Adapter, declareAdapter } from "../../core/nn/adapter.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import { packTargets } from "../../core/nn/source-target-batch.ts";
import bart from "../fixtures/eva/bart/golden.json" with { type: "json" };
import deberta from "../fixtures/eva/deberta/golden.json" with { type: "json" };
import {
  type GoldenCase,
  type GoldenTensor,
  packGolden,
  readGoldenCase,
  tensorOf,
} from "../../core/model/golden-case.ts";
import { loadModel } from "../golden/golden-case.ts";

/** A tiny model that PEFT's EVA initialized, and a start context that repeats its batches as PEFT does. */
export interface EvaCase {
  readonly golden: GoldenCase;
  /** Number of batches that PEFT fitted each distinct input to, by the first layer that reads it. */
  readonly fitted: Readonly<Record<string, number>>;
  readonly model: Model;
  readonly batches: readonly TokenBatch[];
  readonly adapters: readonly Adapter[];
  readonly context: StartContext;
  /** Messages of the start. */
  readonly said: { readonly progress: string[]; readonly warnings: string[] };
}

const fixtures = { deberta, bart };

/** `target`: BART's. */
interface EvaBatch extends TokenBatch {
  readonly target?: TokenBatch;
}

const heads: Readonly<Record<string, TaskHead>> = {
  deberta: { task: "classification", labels: 2 },
  bart: { task: "generation", labels: 0 },
};

/** Options of a case of PEFT's EVA. */
export interface EvaCaseOptions {
  /** Default: the fixture's. */
  readonly rank?: number;
  readonly hasE?: boolean;
  readonly head?: TaskHead;
  /** Length of the epoch in batches; default: endless. */
  readonly most?: number;
  readonly edit?: (batch: EvaBatch) => EvaBatch;
}

/** Loads a case of PEFT's EVA on a backend. */
export function evaCase(
  backend: Backend,
  family: "deberta" | "bart",
  {
    rank,
    hasE = true,
    head = heads[family]!,
    most = Infinity,
    edit = (batch) => batch,
  }: EvaCaseOptions = {},
): EvaCase {
  const golden = readGoldenCase(join(import.meta.dir, "../fixtures/eva", family));
  const { model, tree } = loadModel(backend, golden.dir, { head });
  const { rank: usual, batches: count, exact_fitted: fitted } = fixtures[family];
  const batches = Array.from({ length: count }, (_, i) => edit(batchOf(golden, i)));
  const paths = [...golden.tensors.keys()].flatMap((name) => /^exact\.(.+)/.exec(name)?.[1] ?? []);
  const adapters = paths.map((path) =>
    declareAdapter(path, tree.linears.get(path)!, {
      rank: rank ?? usual,
      scale: 1,
      svd: hasE,
    }),
  );
  const said = { progress: [] as string[], warnings: [] as string[] };
  const context: StartContext = {
    backend,
    adapters,
    tree,
    budget: { initial: 0, target: 0 },
    seed: 1,
    onProgress: (message) => void said.progress.push(message),
    onWarning: (message) => void said.warnings.push(message),
    *batches(): Iterable<StartBatch> {
      for (let i = 0; i < most; i++) {
        const batch = batches[i % batches.length]!;
        const tokens = batch.ids.length + (batch.target?.ids.length ?? 0);
        const forward: StartBatch["forward"] = (onInput) => {
          const pass = new ForwardPass(backend, { training: false, onInput });
          pass.scope(() => void model.forward(pass, batch));
        };
        yield { tokens, forward };
      }
    },
  };
  return { golden, fitted, model, batches, adapters, context, said };
}

function batchOf(golden: GoldenCase, i: number): EvaBatch {
  const ids = tensorOf(golden, `input_ids.${i}`);
  const batch = packGolden(ids, tensorOf(golden, `attention_mask.${i}`), undefined);
  const labels = golden.tensors.get(`labels.${i}`);
  if (!labels) return batch;
  return { ...batch, ...packTargets(rowsOf(labels), { start: 2, pad: 1 }) };
}

function rowsOf({ shape: [count = 0, width = 0], values }: GoldenTensor): Float64Array[] {
  return Array.from({ length: count }, (_, r) => values.subarray(r * width, (r + 1) * width));
}
