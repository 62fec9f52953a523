import { isAllFinite } from "../../all-finite.ts";
import type { Backend } from "../../backend.ts";
import type { Adapter } from "../../nn/adapter.ts";
import type { Tensor } from "../../tensor.ts";
import type { StartBatch, StartContext } from "../start.ts";
import { IncrementalSvd } from "./incremental-svd.ts";
import { startErrors } from "./start-errors.ts";

/** Principal components of an activation that one or several layers read. */
export interface InputComponents {
  /** [rank] of [features], orthonormal; the entry of largest magnitude is positive. */
  readonly components: readonly Float64Array[];
  /** Number of batches fitted. */
  readonly fitted: number;
  /** Whether the last batch left the components unchanged, up to `TAU`. */
  readonly converged: boolean;
}

/** Least cosine similarity of components before and after a batch to count as converged (PEFT's tau). */
const TAU = 0.99;
/** Limit on batches. PEFT has none: it repeats the data until every input converges. */
const MAX_BATCHES = 64;

/**
 * Fits principal components to the input of every adapted layer; returns them by path. Each input
 * takes batches until its components converge. Stops after one epoch or `MAX_BATCHES`, with a
 * warning. Layers that read the same tensor share its components. Throws E_NOT_FINITE, and E_FLAG
 * if every batch has fewer tokens than the rank.
 */
export async function fitInputs(
  context: StartContext,
): Promise<ReadonlyMap<string, InputComponents>> {
  const inputs = new Map<string, Input>();
  let count = 0;
  for (const batch of context.batches()) {
    fitBatch(context, inputs, batch, ++count);
    const all = new Set(inputs.values());
    const converged = [...all].filter((input) => input.converged).length;
    context.onProgress(`start eva: batch ${count}, ${converged} of ${all.size} inputs converged`);
    if (converged === all.size || count === MAX_BATCHES) break;
    await Bun.sleep(0); // lets signal handlers run
  }
  checkFitted(context, inputs);
  warnUnconverged(context, inputs, count);
  return inputs;
}

// --- internal ---

class Input implements InputComponents {
  readonly #svd: IncrementalSvd;
  /** Row count of the largest batch so far. */
  maxRows = 0;
  fitted = 0;
  converged = false;

  constructor(rank: number, features: number, backend: Backend) {
    this.#svd = new IncrementalSvd(rank, features, backend);
  }

  get components(): readonly Float64Array[] {
    return this.#svd.components;
  }

  /** rows: [count, features]. */
  fit(rows: Float32Array | Float64Array, count: number): void {
    this.maxRows = Math.max(this.maxRows, count);
    if (!this.#svd.update(rows, count)) return;
    this.fitted++;
    this.converged = this.#svd.converged(TAU);
  }
}

/** Runs the model on a batch and updates the inputs that have not converged. */
function fitBatch(
  { backend, adapters }: StartContext,
  inputs: Map<string, Input>,
  { tokens, forward }: StartBatch,
  batchNumber: number,
): void {
  const ranks = new Map(adapters.map(({ path, rank }) => [path, rank]));
  const seen = new Map<Tensor, Input>();
  const called = new Set<string>();
  forward((path, x) => {
    const rank = ranks.get(path);
    // DeBERTa's shared projections run a second time, on the relative embeddings.
    if (rank === undefined || called.has(path)) return;
    called.add(path);
    const [rows = 0, features = 0] = x.shape;
    const shared = seen.get(x);
    const input = shared ?? inputs.get(path) ?? new Input(rank, features, backend);
    inputs.set(path, input);
    seen.set(x, input);
    if (shared || input.converged) return;
    const count = Math.min(rows, tokens);
    const values = rowsOf(backend, x, count * features);
    if (!isAllFinite(values)) throw startErrors.inputNotFinite(path, batchNumber);
    input.fit(values, count);
  });
}

function rowsOf(backend: Backend, { buffer }: Tensor, length: number): Float32Array | Float64Array {
  const values = backend.download(buffer).subarray(0, length);
  return values instanceof Int32Array ? Float64Array.from(values) : values;
}

/** Throws E_FLAG if an input has no components because all batches were smaller than the rank. */
function checkFitted({ adapters }: StartContext, inputs: ReadonlyMap<string, Input>): void {
  for (const { path, rank } of adapters) {
    const { fitted = 0, maxRows = 0 } = inputs.get(path) ?? {};
    if (fitted === 0) throw startErrors.batchBelowRank(path, rank, maxRows);
  }
}

function warnUnconverged(
  { adapters, onWarning }: StartContext,
  inputs: ReadonlyMap<string, Input>,
  batches: number,
): void {
  const rest = adapters.filter(({ path }: Adapter) => !inputs.get(path)?.converged).length;
  if (rest === 0) return;
  const of = `${rest} of ${adapters.length} modules`;
  onWarning(`start eva: ${of} had not converged after ${batches} batches`);
}
