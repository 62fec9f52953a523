import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { openCheckpoint } from "../../core/io/checkpoint-files.ts";
import type { StoredTensor } from "../../core/io/stored-tensor.ts";
import { type Adapter, declareAdapter } from "../../core/nn/adapter.ts";
import type { GoldenCase } from "../../core/model/golden-case.ts";
import { loadWeights } from "../../core/model/load-weights.ts";
import { ModuleScope, type ModuleTree } from "../../core/nn/module-scope.ts";
import type { Model, ModelPlugin, TaskHead } from "../../core/model/plugin.ts";
import { builtInFamilies } from "../../plugins/index.ts";

/** Errors that a dtype may make. */
export interface Tolerance {
  readonly outputs: number;
  readonly gradients: number;
  /** Relative, of the scalars of a training step. */
  readonly training: number;
  readonly final: number;
  /** Of a written text's score; transformers sums beams in float32. */
  readonly scores: number;
  /**
   * Whether a trajectory must be the golden's to the end, masks and tensors. Else its losses must be, and the first step's gradients:
   * Adam makes steps of the same size of gradients that are mostly rounding.
   */
  readonly trajectory: boolean;
  /** Errors of tensors are relative to their largest number, or to this where it is larger. */
  readonly least: number;
}

/** Tolerances by backend. */
export const tolerances: Readonly<Record<string, Tolerance>> = {
  f64: {
    outputs: 1e-10,
    gradients: 1e-10,
    training: 1e-8,
    final: 1e-8,
    scores: 1e-4,
    trajectory: true,
    least: 1,
  },
  f32: {
    outputs: 1e-5,
    gradients: 1e-5,
    training: 1e-4,
    final: 1e-4,
    scores: 1e-4,
    trajectory: true,
    least: 1,
  },
  // Of a tensor's largest number, or of `least` where all are smaller: what 8 bits and a dozen layers leave.
  bf16: {
    outputs: 3e-2,
    gradients: 5e-2,
    training: 5e-2,
    final: 0.2,
    scores: 5e-2,
    trajectory: false,
    least: 0.05,
  },
};

/** A linear layer that a case adapts, the rank and scale of its adapter, and whether it has E. */
export interface AdaptedModule {
  readonly path: string;
  readonly rank: number;
  readonly scale: number;
  readonly svd: boolean;
}

/**
 * The modules of a training case, from its first values. `scaleOf`: a module's scale at a rank. Throws where golden.json lists other
 * `modules`.
 */
export function adaptedModules(
  { golden, tensors, dir }: GoldenCase,
  svd: boolean,
  scaleOf: (path: string, rank: number) => number,
): readonly AdaptedModule[] {
  const modules = [...tensors].flatMap(([name, { shape }]) => {
    const path = /^init\.(?:base_model\.model\.)?(.+)\.lora_A(?:\.weight)?$/.exec(name)?.[1];
    const rank = shape[0] ?? 0;
    return path === undefined ? [] : [{ path, rank, scale: scaleOf(path, rank), svd }];
  });
  const listed = golden["modules"];
  const paths = modules.map(({ path }) => path).toSorted();
  if (paths.length === 0 || (listed !== undefined && !Bun.deepEquals(listed, paths))) {
    throw new Error(`${dir}: golden.json lists other modules than golden.safetensors holds`);
  }
  return modules;
}

/** Attaches adapters, in the model's order. */
function attach(tree: ModuleTree, modules: readonly AdaptedModule[]): readonly Adapter[] {
  const missing = modules.find(({ path }) => !tree.adaptable.has(path));
  if (missing) throw new Error(`the model has no linear layer ${missing.path}`);
  return [...tree.adaptable.values()].flatMap((host) => {
    const module = modules.find(({ path }) => path === host.path);
    if (!module) return [];
    return [(host.adapter = declareAdapter(host.path, host, module))];
  });
}

/** A loaded model of a case, with its adapters. */
export interface CaseModel {
  readonly plugin: ModelPlugin;
  readonly head: TaskHead;
  readonly model: Model;
  readonly tree: ModuleTree;
  readonly adapters: readonly Adapter[];
}

/** Builds the model of a checkpoint folder and loads it, from a chosen weights file where several hold the same numbers. */
export function loadModel(
  backend: Backend,
  dir: string,
  options: {
    adapt?: readonly AdaptedModule[];
    weights?: ReadonlyMap<string, StoredTensor>;
    trainAll?: boolean;
    head?: TaskHead;
  },
): CaseModel {
  const raw = JSON.parse(readFileSync(join(dir, "config.json"), "utf8"));
  const { plugin } = builtInFamilies.familyOf(raw.model_type);
  const labels = raw.num_labels ?? (raw.id2label ? Object.keys(raw.id2label).length : 2);
  const scope = ModuleScope.root();
  const task = labels === 1 ? "regression" : "classification";
  const head = options.head ?? { task, labels };
  const model = plugin.build(plugin.parseConfig(raw), head, scope);
  const { tree } = scope;
  const { adapt } = options;
  const adapters = attach(tree, adapt ?? []);
  for (const parameter of tree.parameters.values())
    parameter.requiresGrad =
      options.trainAll ??
      (adapt !== undefined && plugin.adapters.trainable.some((r) => r.test(parameter.name)));
  const tensors = options.weights ?? openCheckpoint(dir).tensors;
  loadWeights(backend, tree, tensors, plugin, { where: dir, seed: 0 });
  return { plugin, head, model, tree, adapters };
}
