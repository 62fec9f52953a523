import type { Backend } from "../backend.ts";
import type { Adapter } from "../nn/adapter.ts";
import type { ModuleTree } from "../nn/module-scope.ts";
import type { Parameter, Tensor } from "../tensor.ts";

/** Initial values of adapter parameters: A [r, in], E [r], B [out, r]. */
export type StartValues = ReadonlyMap<Parameter, Float32Array>;

/** Receives the input x [N, in] of the linear layer at `path`; x is freed after the call. */
export type OnInput = (path: string, x: Tensor) => void;

/** A batch of training data. */
export interface StartBatch {
  /** Runs the frozen model on the batch, without adapters or dropout. */
  readonly forward: (onInput: OnInput) => void;
}

/** Everything available to a start. */
export interface StartContext {
  readonly backend: Backend;
  readonly adapters: readonly Adapter[];
  /** The loaded model's parameters and linear layers, by path. */
  readonly tree: ModuleTree;
  /** Sum of all ranks at the start and after the last pruning; equal if nothing is pruned. */
  readonly budget: { readonly initial: number; readonly target: number };
  readonly seed: number;
  /** The first epoch's batches, in training order. */
  readonly batches: () => Iterable<StartBatch>;
}

/**
 * Initializes adapters, optionally from the loaded model and training data. The initial increments
 * must be zero, so that training starts from the frozen model.
 */
export interface Start {
  /** Help text: "A Kaiming-uniform, B = 0, E = 1". */
  readonly about: string;
  /** Whether zero increments require a diagonal E, which only AdaLoRA and SVD-LoRA have. */
  readonly needsE: boolean;
  /** Values for all parameters of all adapters. */
  values(context: StartContext): StartValues | Promise<StartValues>;
}

/** Starts by `--start` name. */
export type StartTable = Readonly<Record<string, Start>>;

/** Initial values of one adapter, independent of data and model. */
export type AdapterStart = (adapter: Adapter, seed: number) => StartValues;

/** A start that initializes each adapter independently. */
export function perAdapter(
  { about, needsE }: Pick<Start, "about" | "needsE">,
  valuesOf: AdapterStart,
): Start {
  const values = ({ adapters, seed }: StartContext) =>
    new Map(adapters.flatMap((adapter) => [...valuesOf(adapter, seed)]));
  return { about, needsE, values };
}

/** Initializes the adapters, which are detached from the model while the start runs. */
export async function runStart(start: Start, context: StartContext): Promise<void> {
  const { backend, adapters, tree } = context;
  const linears = adapters.map(({ path }) => tree.linears.get(path));
  for (const linear of linears) if (linear) linear.adapter = undefined;
  const values = await start.values(context);
  for (const [i, linear] of linears.entries()) if (linear) linear.adapter = adapters[i];
  uploadValues(backend, values);
}

/** Initializes each adapter independently of data and model. */
export function startAdapters(
  backend: Backend,
  adapters: readonly Adapter[],
  valuesOf: AdapterStart,
  seed: number,
): void {
  for (const adapter of adapters) uploadValues(backend, valuesOf(adapter, seed));
}

// --- internal ---

function uploadValues(backend: Backend, values: StartValues): void {
  for (const [parameter, elements] of values) {
    parameter.buffer = backend.alloc(backend.master, parameter.length);
    backend.upload(parameter.buffer, elements);
  }
}
