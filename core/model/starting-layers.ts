import type { Svd } from "../jacobi-svd.ts";
import { type Factors, svdsOfProducts } from "../adalora/low-rank-svd.ts";
import type { Matrix } from "../matrix.ts";
import { matrixOf } from "./export/increment.ts";
import type { Start, StartContext, StartValues } from "../adalora/start.ts";
import { paperValues } from "../adalora/starts/paper.ts";
import { isOneOf, type Method, svdMethods } from "../config/method.ts";
import { errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";
import { toFloat64 } from "../io/float-conversion.ts";
import type { AdaLoraModule, LoraModule, PeftAdapter } from "../io/peft-adapter.ts";
import { type Adapter, adapterScale } from "../nn/adapter.ts";
import { modelErrors } from "./model-errors.ts";

/** What becomes of the triplets that an AdaLoRA adapter has pruned, when it is trained on. */
export type PrunedTriplets = "kept" | "revived";

/** How a run turns an adapter's layers into its own. */
export interface StartingOptions {
  readonly method: Method;
  /** Kept: a layer has the unpruned triplets only. Revived: the others start anew, with E = 0. */
  readonly pruned: PrunedTriplets;
  /** Rank of every layer, and alpha, of an AdaLoRA run that starts from a LoRA. */
  readonly initRank: number;
  readonly alpha: number;
}

/** A layer of a run that starts from an adapter. */
export interface StartingLayer {
  readonly path: string;
  /** Its rank in this run; 0 where the adapter has pruned all its triplets. */
  readonly rank: number;
  readonly scale: number;
  /** LoRA: the alpha of the file's rank. */
  readonly alpha: number | undefined;
  /** AdaLoRA: by triplet of the initial rank, whether the layer has it; undefined: all. */
  readonly slots: readonly boolean[] | undefined;
  readonly source: AdaLoraModule | LoraModule;
}

/** Whether a run has other triplets than its adapter: the SVD of a LoRA's increments. */
export const isConverted = ({ method }: Pick<PeftAdapter, "method">, to: Method) =>
  method === "lora" && isOneOf(to, svdMethods);

/** The layers of a run that starts from an adapter, in the adapter's order. */
export function startingLayers(
  adapter: PeftAdapter,
  options: StartingOptions,
): readonly StartingLayer[] {
  if (adapter.method === "adalora") {
    const scale = adapterScale(adapter.alpha, adapter.initRank, true);
    return adapter.modules.map((source) => {
      const isRevived = options.pruned === "revived";
      const rank = isRevived ? adapter.initRank : (source.A.shape[0] ?? 0);
      const slots = isRevived ? undefined : source.mask;
      return { path: source.path, rank, scale, alpha: undefined, slots, source };
    });
  }
  const { initRank, alpha } = options;
  return adapter.modules.map((source) => {
    const { path } = source;
    if (!isConverted(adapter, options.method)) {
      const rank = source.A.shape[0] ?? 0;
      return {
        path,
        rank,
        scale: source.alpha / rank,
        alpha: source.alpha,
        slots: undefined,
        source,
      };
    }
    const scale = adapterScale(alpha, initRank, true);
    return { path, rank: initRank, scale, alpha: undefined, slots: undefined, source };
  });
}

/** The start that gives a run's adapters the values of these layers. */
export function startFrom(layers: readonly StartingLayer[]): Start {
  const byPath = new Map(layers.map((layer) => [layer.path, layer]));
  return {
    about: "the values of an adapter",
    needsE: false,
    values({ adapters, seed, decompose }: StartContext): StartValues {
      const pairs = adapters.map((adapter): Pair => {
        const layer = byPath.get(adapter.path);
        if (layer === undefined) throw new Error(`internal: ${adapter.path} has no layer`);
        return { adapter, layer };
      });
      const svdOf = svdsOfProducts(
        pairs.filter(({ adapter, layer }) => adapter.e !== undefined && !("E" in layer.source)),
        ({ layer }) => factorsOf(layer),
        decompose,
      );
      const values = pairs.map((pair) => valuesOf(pair.adapter, tripletsOf(pair, svdOf), seed));
      return new Map(values.flatMap((each) => [...each]));
    },
  };
}

/** Requires A and B of each layer to fit the linear layers of a model. Throws E_FILE, E_WEIGHTS. */
export function checkLayers(
  layers: readonly Pick<StartingLayer, "path" | "source">[],
  linears: ReadonlyMap<string, { readonly inFeatures: number; readonly outFeatures: number }>,
  where: string,
): void {
  for (const { path, source } of layers) {
    const linear = linears.get(path);
    if (!linear) {
      throw errors.file(where, `adapts "${cutText(path)}", which the model does not have`);
    }
    const [rank = 0, inFeatures] = source.A.shape;
    const outFeatures = source.B.shape[0];
    if (inFeatures !== linear.inFeatures) {
      throw modelErrors.weightShape(
        where,
        `${path}.lora_A`,
        [rank, linear.inFeatures],
        source.A.shape,
      );
    }
    if (outFeatures !== linear.outFeatures) {
      throw modelErrors.weightShape(
        where,
        `${path}.lora_B`,
        [linear.outFeatures, rank],
        source.B.shape,
      );
    }
  }
}

// --- internal ---

/** An adapter of the run, and the layer whose values it gets. */
interface Pair {
  readonly adapter: Adapter;
  readonly layer: StartingLayer;
}

/** The values of a layer's triplets: A's rows, E, and B's columns. */
interface Triplets {
  readonly a: Matrix;
  /** Undefined for LoRA. */
  readonly e: Float64Array | undefined;
  readonly b: Matrix;
  /** The place of each triplet in the run's adapter. */
  readonly places: readonly number[];
}

function valuesOf(adapter: Adapter, triplets: Triplets, seed: number): StartValues {
  const { a, e, b, rank } = adapter;
  const fresh = triplets.places.length < rank ? paperValues(adapter, seed) : undefined;
  const rows = fresh?.get(a)?.slice() ?? new Float32Array(a.length);
  const columns = fresh?.get(b)?.slice() ?? new Float32Array(b.length);
  const diagonal = new Float32Array(rank);
  const width = triplets.a.cols;
  triplets.places.forEach((place, t) => {
    rows.set(triplets.a.values.subarray(t * width, (t + 1) * width), place * width);
    for (let i = 0; i < triplets.b.rows; i++) {
      columns[i * rank + place] = triplets.b.values[i * triplets.b.cols + t]!;
    }
    diagonal[place] = triplets.e?.[t] ?? 0;
  });
  const values = new Map([
    [a, rows],
    [b, columns],
  ]);
  return e ? values.set(e, diagonal) : values;
}

const factorsOf = ({ path, source }: StartingLayer): Factors => ({
  a: matrixOf(source.A, `${path}.lora_A`),
  b: matrixOf(source.B, `${path}.lora_B`),
});

/** The triplets of an adapter; those of a LoRA that gets an E are the SVD of its increment. */
function tripletsOf(pair: Pair, svdOf: (pair: Pair) => Svd): Triplets {
  const { path, source, slots, scale } = pair.layer;
  if ("E" in source) {
    const kept = [...source.mask.keys()].filter((t) => source.mask[t]);
    const places = slots === undefined ? kept : [...kept.keys()];
    return { ...factorsOf(pair.layer), e: toFloat64(source.E, `${path}.lora_E`), places };
  }
  const rank = source.A.shape[0] ?? 0;
  if (pair.adapter.e === undefined)
    return { ...factorsOf(pair.layer), e: undefined, places: [...Array(rank).keys()] };
  // alpha / r * B A = scale * U diag(E) V.
  const { u, s, v } = svdOf(pair);
  const factor = source.alpha / rank / scale;
  return { a: v, b: u, e: s.map((value) => value * factor), places: [...s.keys()] };
}
