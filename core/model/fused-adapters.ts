import { invariant } from "../errors.ts";
import { toFloat64 } from "../io/float-conversion.ts";
import type { AdaLoraAdapter, AdaLoraModule, LoraModule } from "../io/peft-adapter.ts";
import { DTYPE_BYTES, type StoredTensor } from "../io/stored-tensor.ts";
import { adapterScale, type OutputRange } from "../nn/adapter.ts";
import type { Linear, LinearPart } from "../nn/linear.ts";

/** An adapter as a file's module, and its range if it adapts a part of a fused layer. */
export interface RangedModule<Module> {
  readonly module: Module;
  readonly range: OutputRange | undefined;
}

/**
 * Joins the LoRA adapters of a fused layer's parts to one per layer, losslessly: A = [A1; A2; …], B
 * block-diagonal. PEFT has one adapter per linear layer.
 */
export function joinLora(modules: readonly RangedModule<LoraModule>[]): readonly LoraModule[] {
  return groupsOf(modules).map((group) => {
    // All parts have the scale alpha / rank; the sums of alphas and of ranks have it too.
    const alpha = group.reduce((sum, { module }) => sum + module.alpha, 0);
    return { ...joinFactors(group), alpha };
  });
}

/**
 * The same for AdaLoRA, with E = [E1; E2; …]. PEFT has one initial rank for all layers: it becomes
 * that of the layer with most parts, the other masks get pruned triplets, and alpha keeps the
 * scale. With `sharesSlots` the parts' masks are of the joined layer already, as splitFused leaves
 * them, and rank and alpha stay.
 */
export function joinAdaLora(
  modules: readonly RangedModule<AdaLoraModule>[],
  settings: Pick<AdaLoraAdapter, "alpha" | "initRank" | "targetRank">,
  sharesSlots = false,
): Pick<AdaLoraAdapter, "modules" | "alpha" | "initRank" | "targetRank"> {
  const groups = groupsOf(modules);
  const most = groups.reduce((parts, group) => Math.max(parts, group.length), 1);
  const parts = sharesSlots ? 1 : most;
  const { alpha, initRank, targetRank } = settings;
  const joinedRank = initRank * parts;
  const joined = groups.map((group): AdaLoraModule => {
    if (sharesSlots) return joinBySlots(group);
    const mask = group.flatMap(({ module }) => module.mask);
    const E = concatRows(group.map(({ module }) => module.E));
    const padded = Array.from({ length: joinedRank }, (_, t) => mask[t] ?? false);
    return { ...joinFactors(group), E, mask: padded };
  });
  return {
    modules: joined,
    initRank: joinedRank,
    alpha:
      parts === 1 ? alpha : adapterScale(alpha, initRank, true) / adapterScale(1, joinedRank, true),
    targetRank: Math.round((targetRank * modules.length) / Math.max(1, groups.length)),
  };
}

/** The factors of an adapter, E if the method has it. */
export interface Factors {
  readonly A: StoredTensor;
  readonly E?: StoredTensor;
  readonly B: StoredTensor;
}

/**
 * Splits an adapter of a fused layer into those of its parts, which is exact: each part that has
 * triplets, its factors, and the indices of its triplets. Returns undefined if the layer is not
 * fused, or if a column of B reaches into several parts.
 */
export function splitByParts(
  { A, E, B }: Factors,
  { parts }: Pick<Linear, "parts">,
): readonly (readonly [LinearPart, Factors, readonly number[]])[] | undefined {
  if (parts.length === 0) return undefined;
  const owners = columnOwners(B, parts);
  if (!owners) return undefined;
  return parts.flatMap((part) => {
    const triplets = [...owners.keys()].filter((t) => owners[t] === part);
    if (triplets.length === 0) return [];
    const { start } = part.range;
    const rows = Array.from({ length: part.outFeatures }, (_, i) => start + i);
    const own = { A: selected(A, triplets), B: selected(B, rows, triplets) };
    return [[part, E ? { ...own, E: selected(E, triplets) } : own, triplets] as const];
  });
}

// --- internal ---

type Group<Module> = readonly RangedModule<Module>[];

/** Adapters of one fused layer together, others alone, in order. */
function groupsOf<Module extends { readonly path: string }>(
  modules: Group<Module>,
): readonly Group<Module>[] {
  return [
    ...Map.groupBy(modules, ({ module, range }) => range?.layer.path ?? module.path).values(),
  ];
}

/** The factors of a group as one module; a module that adapts no part comes out as it is. */
function joinFactors(group: Group<LoraModule | AdaLoraModule>) {
  const [first] = group;
  invariant(first, "a group of adapters is empty");
  const { path, A: own, B } = first.module;
  if (!first.range) return { path, A: own, B };
  const { layer } = first.range;
  const A = concatRows(group.map(({ module }) => module.A));
  return { path: layer.path, A, B: blockDiagonal(group, layer.outFeatures, A.shape[0] ?? 0) };
}

/** Parts whose masks share the joined layer's slots: its triplets are in the slots' order. */
function joinBySlots(group: Group<AdaLoraModule>): AdaLoraModule {
  const { path, A, B } = joinFactors(group);
  const E = concatRows(group.map(({ module }) => module.E));
  const slots = group.flatMap(({ module: { mask } }) =>
    [...mask.keys()].filter((slot) => mask[slot]),
  );
  const order = [...slots.keys()].toSorted((s, t) => slots[s]! - slots[t]!);
  const rows = [...Array(B.shape[0] ?? 0).keys()];
  const mask = (group[0]?.module.mask ?? []).map((_, slot) => slots.includes(slot));
  return {
    path,
    A: selected(A, order),
    E: selected(E, order),
    B: selected(B, rows, order),
    mask,
  };
}

/** Matrices above each other. */
function concatRows(tensors: readonly StoredTensor[]): StoredTensor {
  const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  const bytes = new Uint8Array(Buffer.concat(tensors.map((tensor) => tensor.bytes)));
  return { dtype: "F32", shape: [rows, tensors[0]?.shape[1] ?? 0], bytes };
}

/** [outputs, rank]: each B at its layer's outputs and its own columns, zeros elsewhere. */
function blockDiagonal(
  group: Group<LoraModule | AdaLoraModule>,
  outputs: number,
  rank: number,
): StoredTensor {
  const width = DTYPE_BYTES.F32;
  const bytes = new Uint8Array(outputs * rank * width);
  let column = 0;
  for (const { module, range } of group) {
    const [rows = 0, own = 0] = module.B.shape;
    for (let r = 0; r < rows; r++) {
      const row = module.B.bytes.subarray(r * own * width, (r + 1) * own * width);
      bytes.set(row, (((range?.start ?? 0) + r) * rank + column) * width);
    }
    column += own;
  }
  return { dtype: "F32", shape: [outputs, rank], bytes };
}

/**
 * The part that each column of B [out, r] belongs to: a column of zeros to that of the column
 * before. Undefined if a column has elements in several parts.
 */
function columnOwners(
  B: StoredTensor,
  parts: readonly LinearPart[],
): readonly LinearPart[] | undefined {
  const rank = B.shape[1] ?? 0;
  const values = toFloat64(B);
  const owners: LinearPart[] = [];
  for (let t = 0; t < rank; t++) {
    const [own, ...others] = parts.filter(({ range: { start }, outFeatures }) => {
      for (let r = start; r < start + outFeatures; r++) if (values[r * rank + t] !== 0) return true;
      return false;
    });
    if (others.length > 0) return undefined;
    const owner = own ?? owners.at(-1) ?? parts[0];
    if (owner) owners.push(owner);
  }
  return owners;
}

/** The given rows and columns (default: all) of a matrix, in any dtype. */
function selected(
  { dtype, shape, bytes }: StoredTensor,
  rows: readonly number[],
  columns: readonly number[] = [...Array(shape[1] ?? 0).keys()],
): StoredTensor {
  const width = DTYPE_BYTES[dtype];
  const out = new Uint8Array(rows.length * columns.length * width);
  let at = 0;
  for (const r of rows) {
    for (const c of columns) {
      const from = (r * (shape[1] ?? 0) + c) * width;
      out.set(bytes.subarray(from, from + width), at);
      at += width;
    }
  }
  return { dtype, shape: [rows.length, columns.length], bytes: out };
}
