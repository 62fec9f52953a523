import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { coreOf } from "../adalora/low-rank-svd.ts";
import { type Decompose, decomposeOnCpu } from "../jacobi-svd.ts";
import { orthogonalityResidual, transposed } from "../matrix.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import { copyFloats } from "../io/float-conversion.ts";
import { isJsonObject } from "../io/json-file.ts";
import type { PeftAdapter } from "../io/peft-adapter.ts";
import { readRegular } from "../io/regular-file.ts";
import {
  DTYPE_BYTES,
  elementCount,
  isStoredDtype,
  type StoredTensor,
} from "../io/stored-tensor.ts";
import { factorsOf, type Increment, incrementOf } from "../model/export/increment.ts";
import { matchWeights } from "../model/load-weights.ts";
import type { BaseModel, ExportSource } from "./export/source.ts";
import { runFiles } from "./run-folder.ts";

/** What an adapter holds, in numbers. */
export interface Inspected {
  readonly method: PeftAdapter["method"];
  readonly base: string | null;
  readonly revision: string | null;
  readonly task: string | null;
  readonly labels: readonly string[] | null;
  readonly modules: readonly InspectedModule[];
  /** Names of the tensors that were trained in full. */
  readonly trained: readonly string[];
  /** Sizes of the increments in each form, and of what was trained in full. */
  readonly size: {
    readonly adalora: Size;
    readonly lora: Size;
    readonly trained: Size;
  };
  /** Sum of ranks, or of parameters, by step, where the run's log is beside the adapter. */
  readonly budget: readonly { readonly step: number; readonly budget: number }[];
}

/** Parameters, and the bytes that they take as they are stored. */
export interface Size {
  readonly parameters: number;
  readonly bytes: number;
}

/** One adapted module. */
export interface InspectedModule {
  readonly path: string;
  readonly rank: number;
  /** The rank before pruning; in LoRA the largest of the adapter. */
  readonly initialRank: number;
  /** Singular values of the increment, descending. */
  readonly singularValues: readonly number[];
  /** Frobenius norm of the increment. */
  readonly norm: number;
  /** The norm over that of the base's weight; null without the base model. */
  readonly share: number | null;
  /** Largest entries of |PᵀP - I| and |QQᵀ - I|, where P is B and Q is A. */
  readonly residual: { readonly p: number; readonly q: number };
}

/**
 * Computes what `inspect` shows. The base's weights are read only if `base` is given. `decompose`
 * gets all modules' small matrices in one call.
 */
export function inspectAdapter(
  { adapter, dir, facts }: Pick<ExportSource, "adapter" | "dir" | "facts">,
  base: BaseModel | undefined,
  decompose: Decompose = decomposeOnCpu,
): Inspected {
  const weightOf = base && baseWeights(base, adapter);
  const largest = Math.max(0, ...adapter.modules.map(({ A }) => A.shape[0] ?? 0));
  const initialRank = adapter.method === "adalora" ? adapter.initRank : largest;
  const modules = [...adapter.modules].toSorted((x, y) => natural.compare(x.path, y.path));
  const svds = decompose(modules.map((module) => coreOf(factorsOf(incrementOf(adapter, module)))));
  return {
    method: adapter.method,
    base: adapter.baseModel,
    revision: adapter.revision ?? null,
    task: facts?.task ?? null,
    labels: facts?.labels ?? null,
    modules: modules.map((module, i) =>
      inspectModule(incrementOf(adapter, module), svds[i]!.s, initialRank, weightOf),
    ),
    trained: [...adapter.saved.keys()],
    size: sizesOf(adapter),
    budget: budgetHistory(dirname(resolve(dir))),
  };
}

// --- internal ---

/** Orders layer 2 before layer 10. */
const natural = new Intl.Collator("en", { numeric: true });

/** `s`: the singular values of B diag(E) A. */
function inspectModule(
  { path, rank, scale, a, b }: Increment,
  s: Float64Array,
  initialRank: number,
  weightOf: ((path: string) => StoredTensor | undefined) | undefined,
): InspectedModule {
  const singularValues = Array.from(s, (value) => value * Math.abs(scale));
  const norm = Math.hypot(...singularValues);
  const weight = weightOf?.(path);
  return {
    path,
    rank,
    initialRank,
    singularValues,
    norm,
    share: weight === undefined ? null : norm / normOf(weight),
    residual: { p: orthogonalityResidual(b), q: orthogonalityResidual(transposed(a)) },
  };
}

/** The base's weight of an adapted module, by its path. */
function baseWeights(base: BaseModel, adapter: PeftAdapter) {
  const { tree, plugin } = base.declare();
  const { tensors } = openCheckpoint(base.dir);
  const supplied = new Set(adapter.saved.keys());
  const { found } = matchWeights(tree, tensors, plugin, base.dir, supplied);
  return (path: string): StoredTensor | undefined => {
    const weight = tree.linears.get(path)?.weight;
    const tensor = weight && found.get(weight);
    return tensor && isStoredDtype(tensor.dtype) ? { ...tensor, dtype: tensor.dtype } : undefined;
  };
}

/** Frobenius norm of a stored matrix, row by row. */
function normOf({ dtype, shape: [rows = 0, cols = 0], bytes }: StoredTensor): number {
  const row = new Float64Array(cols);
  const rowBytes = cols * DTYPE_BYTES[dtype];
  let squares = 0;
  for (let i = 0; i < rows; i++) {
    copyFloats({ dtype, bytes: bytes.subarray(i * rowBytes, (i + 1) * rowBytes) }, row);
    for (let j = 0; j < cols; j++) squares += row[j]! * row[j]!;
  }
  return Math.sqrt(squares);
}

function sizesOf(adapter: PeftAdapter): Inspected["size"] {
  const pairs = adapter.modules.flatMap(({ A, B }) => [A, B]);
  const ranks = adapter.modules.reduce((sum, { A }) => sum + (A.shape[0] ?? 0), 0);
  const lora = sizeOf(pairs);
  const e = { parameters: ranks, bytes: ranks * DTYPE_BYTES.F32 };
  return {
    adalora: { parameters: lora.parameters + e.parameters, bytes: lora.bytes + e.bytes },
    lora,
    trained: sizeOf([...adapter.saved.values()]),
  };
}

const sizeOf = (tensors: readonly StoredTensor[]): Size => ({
  parameters: tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0),
  bytes: tensors.reduce((sum, { bytes }) => sum + bytes.length, 0),
});

/** The budgets in the log of a run's folder; [] if it has none. */
function budgetHistory(run: string): Inspected["budget"] {
  const path = join(run, runFiles.log);
  if (!existsSync(path)) return [];
  return readRegular(path)
    .toString()
    .split("\n")
    .flatMap((line) => {
      const { step, budget } = recordIn(line);
      return typeof step === "number" && typeof budget === "number" ? [{ step, budget }] : [];
    });
}

/** A line of a log; empty if it is damaged, as the last one of a killed run may be. */
function recordIn(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
