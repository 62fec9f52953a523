import type { Backend } from "../backend.ts";
import type { Adapter } from "../nn/adapter.ts";
import type { ModuleTree } from "../nn/module-scope.ts";
import type { Parameter, Tensor } from "../tensor.ts";

/** First values of adapters' parameters: A [r, in], E [r], B [out, r]. */
export type StartValues = ReadonlyMap<Parameter, Float32Array>;

/** Sees the rows x [N, in] that the linear layer of a path reads; x lives until the call returns. */
export type OnInput = (path: string, x: Tensor) => void;

/** A batch of the training data. */
export interface StartBatch {
  /** Runs the frozen model, without adapters or dropout, over the batch. */
  readonly forward: (onInput: OnInput) => void;
}

/** Everything that a start may look at. */
export interface StartContext {
  readonly backend: Backend;
  readonly adapters: readonly Adapter[];
  /** Parameters and linear layers of the loaded model, by path. */
  readonly tree: ModuleTree;
  /** Sums of all ranks: at the start, and after the last pruning (the same where nothing is pruned). */
  readonly budget: { readonly initial: number; readonly target: number };
  readonly seed: number;
  /** The first epoch's batches, in training order. */
  readonly batches: () => Iterable<StartBatch>;
}

/**
 * How adapters begin. Their increments must be zero, so that training starts from the frozen model.
 * A start may look at the loaded model and at training data before the first step.
 */
export interface Start {
  /** Completes a help line: "A Kaiming-uniform, B = 0, E = 1". */
  readonly about: string;
  /** Whether it needs a diagonal E, as AdaLoRA and SVD-LoRA have, for the increment to be zero. */
  readonly needsE: boolean;
  /** A value for every element of every adapter's parameters. */
  values(context: StartContext): StartValues | Promise<StartValues>;
}

/** Starts by the name that `--start` takes. */
export type StartTable = Readonly<Record<string, Start>>;

/** The values of one adapter, where a start needs neither data nor model. */
export type AdapterStart = (adapter: Adapter, seed: number) => StartValues;

/** A start that treats each adapter by itself. */
export function perAdapter(
  { about, needsE }: Pick<Start, "about" | "needsE">,
  valuesOf: AdapterStart,
): Start {
  const values = ({ adapters, seed }: StartContext) =>
    new Map(adapters.flatMap((adapter) => [...valuesOf(adapter, seed)]));
  return { about, needsE, values };
}

/** Gives the adapters their first values; meanwhile they are detached from the model. */
export async function runStart(start: Start, context: StartContext): Promise<void> {
  const { backend, adapters, tree } = context;
  const linears = adapters.map(({ path }) => tree.linears.get(path));
  for (const linear of linears) if (linear) linear.adapter = undefined;
  const values = await start.values(context);
  for (const [i, linear] of linears.entries()) if (linear) linear.adapter = adapters[i];
  uploadValues(backend, values);
}

/** Gives each adapter the values of a start that needs neither data nor model. */
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
