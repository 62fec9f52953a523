import type { Backend, HostTensor } from "../backend.ts";
import { errors } from "../errors.ts";
import type { ModelPlugin } from "../plugin.ts";
import { normals } from "../rng.ts";
import { type Parameter, elementsOf } from "../tensor.ts";
import type { Fill, ModuleTree } from "./module-scope.ts";

/**
 * Gives every declared parameter its numbers: from the checkpoint, or from its fill where the plugin says that a pre-trained
 * checkpoint may lack it. Every key of the checkpoint is used or ignored on purpose. Returns the parameters that were filled.
 * Matrices take the backend's activation type, vectors and trained parameters its master type.
 */
export function loadWeights(
  backend: Backend,
  tree: ModuleTree,
  tensors: ReadonlyMap<string, HostTensor>,
  plugin: Pick<ModelPlugin, "name" | "weights">,
  { where, seed }: { where: string; seed: number },
): readonly Parameter[] {
  const found = matchKeys(tree, tensors, plugin, where);
  const missing = [...tree.parameters.values()].filter((p) => !found.has(p));
  const lost = missing.filter((p) => !plugin.weights.fresh.some((r) => r.test(p.name)));
  if (lost.length > 0)
    throw errors.missingWeights(
      where,
      lost.map((p) => p.name),
    );
  for (const [parameter, tensor] of found) {
    const { storedShape: due } = parameter;
    if (tensor.shape.length !== due.length || tensor.shape.some((n, i) => n !== due[i])) {
      throw errors.weightShape(where, parameter.name, due, tensor.shape);
    }
    parameter.buffer = backend.adopt(tensor, typeOf(backend, parameter));
  }
  missing.forEach((parameter) => fill(backend, parameter, tree.fills.get(parameter.name), seed));
  return missing;
}

/** Fills every parameter: a model that begins without a checkpoint. */
export function initializeWeights(backend: Backend, tree: ModuleTree, seed: number): void {
  for (const parameter of tree.parameters.values()) {
    fill(backend, parameter, tree.fills.get(parameter.name), seed);
  }
}

function matchKeys(
  tree: ModuleTree,
  tensors: ReadonlyMap<string, HostTensor>,
  { name, weights }: Pick<ModelPlugin, "name" | "weights">,
  where: string,
): Map<Parameter, HostTensor> {
  const found = new Map<Parameter, HostTensor>();
  const unknown: string[] = [];
  for (const [key, tensor] of tensors) {
    const renamed = weights.rename.reduce((k, [from, to]) => k.replace(from, to), key);
    const parameter = tree.parameters.get(renamed) ?? tree.parameters.get(weights.prefix + renamed);
    if (parameter) found.set(parameter, tensor);
    else if (!weights.ignore.some((pattern) => pattern.test(renamed))) unknown.push(key);
  }
  if (unknown.length > 0) throw errors.unmappedWeights(where, name, unknown);
  return found;
}

function typeOf(backend: Backend, parameter: Parameter): Backend["master"] {
  const matrix = parameter.shape.length > 1 && !parameter.requiresGrad;
  return matrix ? backend.activation : backend.master;
}

function fill(backend: Backend, parameter: Parameter, how: Fill | undefined, seed: number): void {
  const n = elementsOf(parameter.shape);
  const values =
    typeof how === "object"
      ? normals(n, how.normal, seed, streamOf(parameter.name))
      : new Float32Array(n).fill(how === "ones" ? 1 : 0);
  const bytes = new Uint8Array(values.buffer);
  const tensor = { dtype: "F32", shape: parameter.storedShape, bytes };
  parameter.buffer = backend.adopt(tensor, typeOf(backend, parameter));
}

/** A random stream of its own for each name (FNV-1a), so that a number does not depend on what else is drawn. */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
