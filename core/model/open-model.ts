import { type Method, adapterMethods, svdMethods, isOneOf } from "../config/method.ts";
import { type Adapter, type AdapterOptions, adapterScale } from "../nn/adapter.ts";
import type { Adaptable } from "../nn/linear.ts";
import { ModuleScope, type ModuleTree } from "../nn/module-scope.ts";
import type { Parameter } from "../tensor.ts";
import { modelErrors } from "./model-errors.ts";
import type { Model, ModelPlugin, TaskHead } from "./plugin.ts";
import { attachAdapters, selectLinears } from "./select-linears.ts";

/** A model with parameter shapes but no values: enough to plan a run. */
export interface DeclaredModel {
  readonly plugin: ModelPlugin;
  readonly model: Model;
  readonly tree: ModuleTree;
}

/** Builds a model's modules without loading values. Throws E_TASK if the family lacks the task. */
export function declareModel(plugin: ModelPlugin, config: object, head: TaskHead): DeclaredModel {
  if (!plugin.tasks.includes(head.task))
    throw modelErrors.unsupportedTask(plugin.name, head.task, plugin.tasks);
  const scope = ModuleScope.root();
  const model = plugin.build(config, head, scope);
  return { plugin, model, tree: scope.tree };
}

/** A linear layer, and the rank and scale of its adapter; rank 0 for none. */
export interface AdaptedLayer extends Pick<AdapterOptions, "rank" | "scale"> {
  readonly path: string;
}

/** Options of a training method: what to adapt, and how. */
export interface AdaptOptions {
  readonly method: Method;
  /** Short module names; null selects all of the family's. */
  readonly modules: readonly string[] | null;
  readonly rank: number;
  readonly alpha: number;
  /** Dropout probability on the adapters' inputs. */
  readonly dropout: number;
  /** The layers of an adapter that is trained on, instead of `modules`, `rank` and `alpha`. */
  readonly layers?: readonly AdaptedLayer[] | undefined;
  /** The model's own parameters that are trained, instead of its heads, by name. */
  readonly trained?: ReadonlySet<string> | undefined;
}

/** A declared model with its adapters, and the parameters of the model itself that are trained. */
export interface AdaptedModel extends DeclaredModel {
  readonly adapters: readonly Adapter[];
  readonly trained: readonly Parameter[];
  /** Layers of the adapter that is trained on whose triplets are all pruned: nothing to train. */
  readonly emptied?: readonly Adaptable[];
}

/** Attaches the method's adapters and selects what else it trains; loads no values. */
export function adaptModel(declared: DeclaredModel, options: AdaptOptions): AdaptedModel {
  const { plugin, tree } = declared;
  const { method } = options;
  const { adapters, emptied } = adaptersOf(declared, options);
  const isHead = (name: string) =>
    options.trained?.has(name) ?? plugin.adapters.trainable.some((pattern) => pattern.test(name));
  const trained = [...tree.parameters.values()].filter(
    ({ name, constant }) =>
      !constant &&
      (method === "full" || isHead(name) || (method === "bitfit" && name.endsWith(".bias"))),
  );
  for (const parameter of trained) parameter.requiresGrad = true;
  return { ...declared, adapters, trained, emptied };
}

// --- internal ---

/** Attaches the adapters, in the model's order. */
function adaptersOf(
  { plugin, tree }: DeclaredModel,
  { method, modules, rank, alpha, dropout, layers }: AdaptOptions,
): Required<Pick<AdaptedModel, "adapters" | "emptied">> {
  if (!isOneOf(method, adapterMethods)) return { adapters: [], emptied: [] };
  const svd = isOneOf(method, svdMethods);
  if (layers === undefined) {
    const scale = adapterScale(alpha, rank, svd);
    const linears = selectLinears(tree, plugin, modules ?? undefined);
    return { adapters: attachAdapters(linears, { rank, scale, svd, dropout }), emptied: [] };
  }
  const byPath = new Map(layers.map((layer) => [layer.path, layer]));
  const hosts = [...tree.linears.values()].flatMap((one): Adaptable[] => [one, ...one.parts]);
  const found = hosts.flatMap((host) => {
    const layer = byPath.get(host.path);
    return layer ? [{ host, layer }] : [];
  });
  return {
    adapters: found.flatMap(({ host, layer }) =>
      layer.rank === 0
        ? []
        : attachAdapters([host], { rank: layer.rank, scale: layer.scale, svd, dropout }),
    ),
    emptied: found.flatMap(({ host, layer }) => (layer.rank === 0 ? host : [])),
  };
}
