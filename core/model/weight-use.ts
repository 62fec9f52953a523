import type { HostTensor } from "../backend.ts";
import type { ModuleTree } from "../nn/module-scope.ts";
import type { Parameter } from "../tensor.ts";
import { originalOf, parameterOf } from "./load-weights.ts";
import type { ModelPlugin } from "./plugin.ts";

/** A tensor whose shape is not its parameter's. */
export interface ShapeMismatch {
  readonly key: string;
  readonly parameter: string;
  readonly expected: readonly number[];
  readonly found: readonly number[];
}

/** How a family's rules account for a checkpoint, for one model. */
export interface WeightUse {
  /** Keys that fill a parameter. */
  readonly mapped: readonly string[];
  /** Keys that no parameter, copy or rule accounts for. */
  readonly unmapped: readonly string[];
  /** Parameters that no key fills and that are not optional. */
  readonly missing: readonly string[];
  readonly mismatches: readonly ShapeMismatch[];
  /** Keys that fill a parameter which an earlier key fills. */
  readonly doubled: readonly string[];
  /** Rules that had an effect, of any list. */
  readonly used: ReadonlySet<RegExp>;
}

/** Follows each key of a checkpoint as `matchWeights` does, and lists everything instead of throwing. */
export function weightUse(
  tree: ModuleTree,
  tensors: ReadonlyMap<string, Pick<HostTensor, "shape">>,
  weights: ModelPlugin["weights"],
): WeightUse {
  const used = new Set<RegExp>();
  const [mapped, unmapped, doubled]: [string[], string[], string[]] = [[], [], []];
  const mismatches: ShapeMismatch[] = [];
  const filled = new Set<Parameter>();
  const copies = new Set<Parameter>();
  for (const [key, { shape }] of tensors) {
    const renamed = weights.rename.reduce((name, [from, to]) => {
      if (from.test(name)) used.add(from);
      return name.replace(from, to);
    }, key);
    const parameter = parameterOf(renamed, tree, weights);
    const copied = originalOf(renamed, tree, weights);
    const target = parameter ?? copied?.parameter;
    const ignored = weights.ignore.filter((pattern) => pattern.test(renamed));
    if (target) {
      mapped.push(key);
      if (parameter && filled.has(parameter)) doubled.push(key);
      if (parameter) filled.add(parameter);
      else copies.add(target);
      if (!parameter && copied) used.add(copied.pattern);
      const { name, storedShape: expected } = target;
      if (!isSameShape(expected, shape))
        mismatches.push({ key, parameter: name, expected, found: shape });
    } else if (ignored.length > 0) for (const pattern of ignored) used.add(pattern);
    else if (!isUnused(renamed, tree, weights)) unmapped.push(key);
  }
  const missing: string[] = [];
  for (const parameter of tree.parameters.values()) {
    const optional = weights.optional.filter((pattern) => pattern.test(parameter.name));
    for (const pattern of optional) used.add(pattern);
    if (optional.length === 0 && !filled.has(parameter) && !copies.has(parameter))
      missing.push(parameter.name);
  }
  return { mapped, unmapped, missing, mismatches, doubled, used };
}

// --- internal ---

const isUnused = (key: string, { unused }: ModuleTree, { prefix }: ModelPlugin["weights"]) =>
  unused.has(key) || unused.has(prefix + key);

const isSameShape = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((size, i) => size === b[i]);
