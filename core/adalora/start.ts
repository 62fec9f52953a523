import type { Backend } from "../backend.ts";
import type { Adapter } from "../nn/adapter.ts";
import type { ModuleTree } from "../nn/module-scope.ts";
import type { StopRequested } from "../stopped.ts";
import type { Parameter, Tensor } from "../tensor.ts";
import type { Decompose } from "../jacobi-svd.ts";

/** Initial values of adapter parameters: A [r, in], E [r], B [out, r]. */
export type StartValues = ReadonlyMap<Parameter, Float32Array>;

/** Receives the input x [N, in] of the linear layer at `path`; x is freed after the call. */
export type OnInput = (path: string, x: Tensor) => void;

/** A batch of training data. */
export interface StartBatch {
  /** Runs the frozen model on the batch, without adapters or dropout. */
  readonly forward: (onInput: OnInput) => void;
  /** Number of real tokens; rows of a layer's input beyond this count represent padding. */
  readonly tokens: number;
}

/** Receives a start's messages, can stop it, and may decompose matrices for it. */
export interface StartObserver {
  /** A line of progress: "start eva: batch 2, 31 of 48 inputs converged". */
  readonly onProgress: (message: string) => void;
  readonly onWarning: (message: string) => void;
  /** Polled between batches; on true the start throws `Stopped`. */
  readonly stopRequested?: StopRequested;
  /** Decomposes small matrices where the run computes; undefined: on the CPU. */
  readonly decompose?: Decompose | undefined;
}

/** Everything available to a start. */
export interface StartContext extends StartObserver {
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

/** Input width of a linear layer that gets an adapter. */
export interface AdaptedLayer {
  readonly path: string;
  readonly inFeatures: number;
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
  /** Throws E_FLAG if the start does not support this rank for one of the layers. */
  readonly check?: (layers: readonly AdaptedLayer[], rank: number) => void;
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
  const hosts = adapters.map(({ path }) => tree.adaptable.get(path));
  for (const host of hosts) if (host) host.adapter = undefined;
  const values = await start.values(context);
  for (const [i, host] of hosts.entries()) if (host) host.adapter = adapters[i];
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
    // Once a trainer exists, the buffer is a view of its arena and must stay in place.
    if (!parameter.loaded) parameter.buffer = backend.alloc(backend.master, parameter.length);
    backend.upload(parameter.buffer, elements);
  }
}
