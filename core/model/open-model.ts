import { type Method, adapterMethods, svdMethods, isOneOf } from "../config/method.ts";
import { errors } from "../errors.ts";
import { type Adapter, adapterScale } from "../nn/adapter.ts";
import { ModuleScope, type ModuleTree } from "../nn/module-scope.ts";
import type { Parameter } from "../tensor.ts";
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
    throw errors.otherTask(plugin.name, head.task, plugin.tasks);
  const scope = ModuleScope.root();
  const model = plugin.build(config, head, scope);
  return { plugin, model, tree: scope.tree };
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
}

/** A declared model with its adapters, and the parameters of the model itself that are trained. */
export interface AdaptedModel extends DeclaredModel {
  readonly adapters: readonly Adapter[];
  readonly trained: readonly Parameter[];
}

/** Attaches the method's adapters and selects what else it trains; loads no values. */
export function adaptModel(declared: DeclaredModel, options: AdaptOptions): AdaptedModel {
  const { plugin, tree } = declared;
  const { method, rank, alpha, dropout } = options;
  const svd = isOneOf(method, svdMethods);
  const scale = adapterScale(alpha, rank, svd);
  const adapters = isOneOf(method, adapterMethods)
    ? attachAdapters(selectLinears(tree, plugin, options.modules ?? undefined), {
        rank,
        scale,
        svd,
        dropout,
      })
    : [];
  const isHead = (name: string) => plugin.adapters.trainable.some((pattern) => pattern.test(name));
  const trained = [...tree.parameters.values()].filter(
    ({ name, constant }) =>
      !constant &&
      (method === "full" || isHead(name) || (method === "bitfit" && name.endsWith(".bias"))),
  );
  for (const parameter of trained) parameter.requiresGrad = true;
  return { ...declared, adapters, trained };
}
