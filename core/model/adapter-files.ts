import type { Backend, Buffer } from "../backend.ts";
import { errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";
import type {
  AdaLoraAdapter,
  AdaLoraModule,
  LoraAdapter,
  PeftAdapter,
} from "../io/peft-adapter.ts";
import { type StoredTensor, float32Tensor } from "../io/stored-tensor.ts";
import { type Adapter, type AdapterOptions, adapterScale, declareAdapter } from "../nn/adapter.ts";
import type { Adaptable } from "../nn/linear.ts";
import type { Parameter } from "../tensor.ts";
import { type Factors, joinAdaLora, joinLora, splitByParts } from "./fused-adapters.ts";
import { modelErrors } from "./model-errors.ts";
import type { DeclaredModel } from "./open-model.ts";
import type { StartingLayer } from "./starting-layers.ts";

/** The fields of a saved AdaLoRA adapter that come from the run's settings. */
export type AdaLoraSettings = Omit<AdaLoraAdapter, "method" | "modules" | "saved" | "dropout">;
/** The fields of a saved LoRA adapter that come from the run's settings. */
export type LoraSettings = Omit<LoraAdapter, "method" | "modules" | "saved" | "dropout"> & {
  readonly alpha: number;
};

/** What a run has trained. */
export interface TrainedParts {
  readonly adapters: readonly Adapter[];
  /** The model's own parameters. */
  readonly trained: readonly Parameter[];
  /** The layers of the adapter that the run started from. */
  readonly layers?: readonly StartingLayer[];
}

/**
 * Converts trained adapters and heads to PEFT's format. `kept` marks the unpruned triplets of each
 * adapter; pruned ones are omitted. Triplets that the adapter of `--from` had pruned stay pruned:
 * masks have one value for each triplet of its initial rank.
 */
export function adaLoraAdapter(
  backend: Backend,
  { adapters, trained, layers = [] }: TrainedParts,
  kept: readonly (readonly boolean[])[],
  settings: AdaLoraSettings,
): AdaLoraAdapter {
  const slotsOf = new Map(layers.map(({ path, slots }) => [path, slots]));
  const modules = adapters.map(({ path, range, a, e, b, rank }, i) => {
    if (!e) throw new Error(`internal: ${path} has no E`);
    const diagonal = backend.download(e.buffer);
    // Between masks Adam moves pruned E's off zero: save every triplet that the forward pass uses.
    const mask = Array.from(
      { length: rank },
      (_, t) => (kept[i]?.[t] ?? false) || diagonal[t] !== 0,
    );
    const rows = [...mask.keys()].filter((t) => mask[t]);
    const module = {
      path,
      mask: maskInSlots(mask, slotsOf.get(path)),
      A: selectTriplets(backend, a.buffer, rows, {
        rows: rank,
        cols: a.shape[1] ?? 0,
        columns: false,
      }),
      E: selectTriplets(backend, e.buffer, rows, { rows: rank, cols: 1, columns: false }),
      B: selectTriplets(backend, b.buffer, rows, {
        rows: b.shape[0] ?? 0,
        cols: rank,
        columns: true,
      }),
    };
    return { module, range };
  });
  const dropout = adapters[0]?.dropout ?? 0;
  const sharesSlots = layers.some(({ slots }) => slots !== undefined);
  const joined = joinAdaLora(modules, settings, sharesSlots);
  return {
    method: "adalora",
    ...settings,
    ...joined,
    modules: [...joined.modules, ...emptyModules(layers)],
    saved: savedTensors(backend, trained),
    dropout,
  };
}

/**
 * As adaLoraAdapter, for LoRA; omits pruned doublets, unless Adam has moved their row of A and
 * their column of B off zero since the last mask.
 */
export function loraAdapter(
  backend: Backend,
  { adapters, trained, layers = [] }: TrainedParts,
  kept: readonly (readonly boolean[])[],
  { alpha, ...settings }: LoraSettings,
): LoraAdapter {
  const alphas = new Map(layers.map((layer) => [layer.path, layer.alpha]));
  const modules = adapters.flatMap(({ path, range, a, b, rank }, i) => {
    const isUsed = usedDoublets(backend, { a, b, rank });
    const rows = [...Array(rank).keys()].filter((t) => (kept[i]?.[t] ?? true) || isUsed(t));
    if (rows.length === 0) return []; // PEFT's LoRA has no rank 0: leave the layer unadapted
    const module = {
      path,
      // PEFT divides alpha by the saved rank, but the scale was fixed by the initial rank.
      alpha: ((alphas.get(path) ?? alpha) * rows.length) / rank,
      A: selectTriplets(backend, a.buffer, rows, {
        rows: rank,
        cols: a.shape[1] ?? 0,
        columns: false,
      }),
      B: selectTriplets(backend, b.buffer, rows, {
        rows: b.shape[0] ?? 0,
        cols: rank,
        columns: true,
      }),
    };
    return [{ module, range }];
  });
  const dropout = adapters[0]?.dropout ?? 0;
  const saved = savedTensors(backend, trained);
  return { method: "lora", ...settings, modules: joinLora(modules), saved, dropout };
}

/**
 * Attaches a saved adapter to a loaded model and loads its heads. Throws E_FILE for layers or
 * tensors that the model lacks, and E_WEIGHTS for shapes that differ. `where` is the adapter's
 * path.
 */
export function applyAdapter(
  backend: Backend,
  declared: Pick<DeclaredModel, "tree" | "plugin">,
  adapter: PeftAdapter,
  where: string,
): readonly Adapter[] {
  const { tree } = declared;
  for (const [parameter, tensor] of savedParameters(declared, adapter, where)) {
    const dtype = parameter.shape.length > 1 ? backend.activation : backend.master;
    parameter.buffer = backend.adopt(tensor, dtype);
  }
  const svd = adapter.method === "adalora";
  return adapter.modules.flatMap((module) => {
    const linear = tree.linears.get(module.path);
    if (!linear)
      throw errors.file(where, `adapts "${cutText(module.path)}", which the model does not have`);
    const rank = module.A.shape[0] ?? 0;
    if (rank === 0) return [];
    if (module.A.shape[1] !== linear.inFeatures) {
      throw modelErrors.weightShape(
        where,
        `${module.path}.lora_A`,
        [rank, linear.inFeatures],
        module.A.shape,
      );
    }
    if (module.B.shape[0] !== linear.outFeatures) {
      throw modelErrors.weightShape(
        where,
        `${module.path}.lora_B`,
        [linear.outFeatures, rank],
        module.B.shape,
      );
    }
    const scale =
      adapter.method === "adalora"
        ? adapterScale(adapter.alpha, adapter.initRank, true)
        : "alpha" in module
          ? module.alpha / rank
          : 1;
    const hosts = splitByParts(module, linear) ?? [[linear, module] as const];
    return hosts.map(([host, factors]) => attachFactors(backend, host, factors, { scale, svd }));
  });
}

/**
 * The model's parameters that an adapter holds in full, with their tensors. Throws E_FILE for a
 * tensor that the model lacks or has tied to others, and E_WEIGHTS for a shape that differs.
 */
export function savedParameters(
  { tree, plugin: { weights } }: Pick<DeclaredModel, "tree" | "plugin">,
  { saved }: Pick<PeftAdapter, "saved">,
  where: string,
): ReadonlyMap<Parameter, StoredTensor> {
  const isUnused = (name: string) =>
    tree.unused.has(name) || weights.ignore.some((pattern) => pattern.test(name));
  const found = new Map<Parameter, StoredTensor>();
  for (const [name, tensor] of saved) {
    const parameter = tree.parameters.get(name);
    const isTied = weights.copies?.some(
      ([pattern, original]) => original === name || pattern.test(name),
    );
    if (isTied) throw errors.file(where, `holds "${cutText(name)}" alone`, TIED);
    if (!parameter && isUnused(name)) continue;
    if (!parameter) {
      throw errors.file(where, `holds "${cutText(name)}", which the model does not have`);
    }
    const expected = parameter.storedShape;
    if (tensor.shape.length !== expected.length || tensor.shape.some((n, i) => n !== expected[i])) {
      throw modelErrors.weightShape(where, name, expected, tensor.shape);
    }
    found.set(parameter, tensor);
  }
  return found;
}

const TIED =
  "the model's embeddings and output layer are one matrix, of which PEFT trains a copy: merge the adapter in PEFT";

/** Expands the mask of a layer's triplets to the slots of its initial rank in the file. */
function maskInSlots(
  mask: readonly boolean[],
  slots: readonly boolean[] | undefined,
): readonly boolean[] {
  if (slots === undefined) return mask;
  let next = 0;
  return slots.map((isUsed) => isUsed && mask[next++]!);
}

/** The layers of rank 0 of the adapter that a run started from: they stay as they are. */
function emptyModules(layers: readonly StartingLayer[]): readonly AdaLoraModule[] {
  return layers.flatMap(({ rank, slots, source }) =>
    rank === 0 && slots !== undefined && "E" in source ? [{ ...source, mask: slots }] : [],
  );
}

/** Attaches an adapter with the values of a file. */
function attachFactors(
  backend: Backend,
  host: Adaptable,
  { A, E, B }: Factors,
  settings: Omit<AdapterOptions, "rank">,
): Adapter {
  const adapter = declareAdapter(host.path, host, { ...settings, rank: A.shape[0] ?? 0 });
  const adopt = (tensor: StoredTensor) => backend.adopt(tensor, backend.master);
  adapter.a.buffer = adopt(A);
  adapter.b.buffer = adopt(B);
  if (adapter.e && E) adapter.e.buffer = adopt(E);
  return (host.adapter = adapter);
}

/**
 * Tells whether row t of A [r, in] and column t of B [out, r] both have an element that is not 0.
 */
function usedDoublets(backend: Backend, { a, b, rank }: Pick<Adapter, "a" | "b" | "rank">) {
  const [rows, columns] = [backend.download(a.buffer), backend.download(b.buffer)];
  const width = a.shape[1] ?? 0;
  return (t: number) =>
    rows.subarray(t * width, (t + 1) * width).some((x) => x !== 0) &&
    columns.some((x, j) => j % rank === t && x !== 0);
}

/** Full copies of trained parameters, by name, in f32. */
function savedTensors(
  backend: Backend,
  trained: readonly Parameter[],
): ReadonlyMap<string, StoredTensor> {
  return new Map(
    trained.map(({ name, storedShape, buffer }) => [
      name,
      float32Tensor(storedShape, Float32Array.from(backend.download(buffer))),
    ]),
  );
}

/**
 * Copies the given rows of a matrix [rows, cols], or its columns if `columns`, to a stored tensor.
 */
function selectTriplets(
  backend: Backend,
  buffer: Buffer,
  indices: readonly number[],
  { rows, cols, columns }: { rows: number; cols: number; columns: boolean },
): StoredTensor {
  const values = backend.download(buffer);
  const shape = columns ? [rows, indices.length] : [indices.length, cols];
  const out = new Float32Array((shape[0] ?? 0) * (shape[1] ?? 0));
  let at = 0;
  for (let r = 0; r < (shape[0] ?? 0); r++) {
    for (let c = 0; c < (shape[1] ?? 0); c++) {
      out[at++] = columns ? values[r * cols + indices[c]!]! : values[indices[r]! * cols + c]!;
    }
  }
  return float32Tensor(shape, out);
}
