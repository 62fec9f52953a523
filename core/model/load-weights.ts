import type { Backend, HostTensor } from "../backend.ts";
import { toFloat64 } from "../io/float-conversion.ts";
import { isStoredDtype } from "../io/stored-tensor.ts";
import type { Fill, ModuleTree } from "../nn/module-scope.ts";
import { normals, streamOf } from "../rng.ts";
import { type Parameter, elementsOf } from "../tensor.ts";
import { modelErrors } from "./model-errors.ts";
import type { ModelPlugin } from "./plugin.ts";

/** A model's parameters, matched to the tensors of a checkpoint. */
export interface MatchedWeights {
  readonly found: ReadonlyMap<Parameter, HostTensor>;
  /** Optional parameters that the checkpoint lacks: they are initialized from their fill. */
  readonly newlyInitialized: readonly Parameter[];
  /** Constants that the checkpoint lacks: never trained, so they keep their fill. */
  readonly constants: ReadonlyMap<Parameter, Fill | undefined>;
}

/**
 * Matches each declared parameter to a tensor by name and shape; reads no values but those of copies
 * (`weights.copies`), which must be equal or stand in for a missing parameter. Every key of the
 * checkpoint must be used or explicitly ignored (by the plugin, or as `unused` by the model), and only parameters that the plugin lists as
 * optional may be missing. `supplied` parameters get their values from elsewhere, such as an
 * adapter file, and are not read from the checkpoint. Throws E_WEIGHTS.
 */
export function matchWeights(
  tree: ModuleTree,
  tensors: ReadonlyMap<string, HostTensor>,
  plugin: Pick<ModelPlugin, "name" | "weights">,
  where: string,
  supplied: ReadonlySet<string> = new Set(),
): MatchedWeights {
  const found = matchKeys(tree, tensors, plugin, where);
  for (const parameter of found.keys()) if (supplied.has(parameter.name)) found.delete(parameter);
  const absent = [...tree.parameters.values()].filter(
    (p) => !found.has(p) && !supplied.has(p.name),
  );
  const missing = absent.filter((p) => !plugin.weights.optional.some((r) => r.test(p.name)));
  if (missing.length > 0)
    throw modelErrors.missingWeights(
      where,
      missing.map((p) => p.name),
    );
  for (const [parameter, tensor] of found) {
    const { storedShape: expected } = parameter;
    if (tensor.shape.length !== expected.length || tensor.shape.some((n, i) => n !== expected[i])) {
      throw modelErrors.weightShape(where, parameter.name, expected, tensor.shape);
    }
  }
  const constants = absent.filter(({ constant }) => constant);
  return {
    found,
    newlyInitialized: absent.filter(({ constant }) => !constant),
    constants: new Map(constants.map((p) => [p, tree.fills.get(p.name)])),
  };
}

/**
 * Loads matched parameters onto the backend: frozen matrices in its activation dtype; vectors and
 * trained parameters in its master dtype.
 */
export function adoptWeights(backend: Backend, { found, constants }: MatchedWeights): void {
  for (const [parameter, init] of constants) fill(backend, parameter, init, 0);
  for (const [parameter, tensor] of found) {
    parameter.buffer = backend.adopt(tensor, dtypeOf(backend, parameter));
  }
}

/**
 * Loads every declared parameter from the checkpoint, or from its fill if it is optional and
 * missing. `supplied` parameters are neither. Returns the filled parameters. Throws like matchWeights,
 * before changing anything.
 */
export function loadWeights(
  backend: Backend,
  tree: ModuleTree,
  tensors: ReadonlyMap<string, HostTensor>,
  plugin: Pick<ModelPlugin, "name" | "weights">,
  options: {
    readonly where: string;
    readonly seed: number;
    /** Parameters that get their values from elsewhere, see matchWeights. */
    readonly supplied?: ReadonlySet<string>;
  },
): readonly Parameter[] {
  const { where, seed, supplied } = options;
  const matched = matchWeights(tree, tensors, plugin, where, supplied);
  adoptWeights(backend, matched);
  for (const parameter of matched.newlyInitialized) {
    fill(backend, parameter, tree.fills.get(parameter.name), seed);
  }
  return [...matched.newlyInitialized, ...matched.constants.keys()];
}

/** The parameter that a renamed key names, with the backbone's prefix or without. */
export function parameterOf(
  key: string,
  { parameters }: ModuleTree,
  { prefix }: Pick<ModelPlugin["weights"], "prefix">,
): Parameter | undefined {
  return parameters.get(key) ?? parameters.get(prefix + key);
}

/** The parameter whose values a renamed key repeats (`weights.copies`), and the rule that says so. */
export function originalOf(
  key: string,
  { parameters }: ModuleTree,
  { copies = [] }: Pick<ModelPlugin["weights"], "copies">,
): { readonly pattern: RegExp; readonly parameter: Parameter } | undefined {
  const [pattern, name] = copies.find(([from]) => from.test(key)) ?? [];
  const parameter = name === undefined ? undefined : parameters.get(name);
  return pattern && parameter ? { pattern, parameter } : undefined;
}

/** Initializes every parameter from its fill, for a model without a checkpoint. */
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
  const copies: Copy[] = [];
  const isUnused = (key: string) =>
    weights.ignore.some((pattern) => pattern.test(key)) ||
    [key, weights.prefix + key].some((path) => tree.unused.has(path));
  for (const [key, tensor] of tensors) {
    const { renamed, parameter, copied } = parametersOf(key, tree, weights);
    if (parameter) {
      const earlier = found.get(parameter);
      if (earlier && !isEqual(earlier, tensor))
        throw modelErrors.doubledWeights(where, key, parameter.name);
      found.set(parameter, tensor);
    } else if (copied) copies.push({ key, tensor, parameter: copied });
    else if (!isUnused(renamed)) unknown.push(key);
  }
  if (unknown.length > 0) throw modelErrors.unmappedWeights(where, name, unknown);
  for (const { key, tensor, parameter } of copies) {
    const original = found.get(parameter);
    if (!original) found.set(parameter, tensor);
    else if (!isEqual(original, tensor))
      throw modelErrors.untiedWeights(where, key, parameter.name);
  }
  return found;
}

/** The parameter that a checkpoint's key names, or the one that it holds a copy of. */
export function parametersOf(
  key: string,
  tree: ModuleTree,
  weights: ModelPlugin["weights"],
): {
  /** The key after the family's rewrites. */
  readonly renamed: string;
  readonly parameter: Parameter | undefined;
  readonly copied: Parameter | undefined;
} {
  const renamed = weights.rename.reduce((k, [from, to]) => k.replace(from, to), key);
  const parameter = parameterOf(renamed, tree, weights);
  return { renamed, parameter, copied: originalOf(renamed, tree, weights)?.parameter };
}

/** A tensor of the checkpoint that holds a parameter's values again. */
interface Copy {
  readonly key: string;
  readonly tensor: HostTensor;
  readonly parameter: Parameter;
}

/** Whether two tensors hold the same values; in most checkpoints they are the same bytes. */
function isEqual(a: HostTensor, b: HostTensor): boolean {
  if (a.shape.length !== b.shape.length || a.shape.some((n, i) => n !== b.shape[i])) return false;
  if (a.dtype === b.dtype && Buffer.compare(a.bytes, b.bytes) === 0) return true;
  const valuesOf = ({ dtype, ...rest }: HostTensor) =>
    isStoredDtype(dtype) ? toFloat64({ dtype, ...rest }) : undefined;
  const [x, y] = [valuesOf(a), valuesOf(b)];
  return x?.every((value, i) => value === y?.[i]) ?? false;
}

function dtypeOf(backend: Backend, parameter: Parameter): Backend["master"] {
  const matrix = parameter.shape.length > 1 && !parameter.requiresGrad;
  return matrix ? backend.activation : backend.master;
}

function fill(backend: Backend, parameter: Parameter, init: Fill | undefined, seed: number): void {
  const n = elementsOf(parameter.shape);
  const values =
    typeof init === "object"
      ? normals(n, init.normal, seed, streamOf(parameter.name))
      : new Float32Array(n).fill(init === "ones" ? 1 : 0);
  const bytes = new Uint8Array(values.buffer);
  const tensor = { dtype: "F32", shape: parameter.storedShape, bytes };
  parameter.buffer = backend.adopt(tensor, dtypeOf(backend, parameter));
}
