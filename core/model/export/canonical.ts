import { svdsOfProducts } from "../../adalora/low-rank-svd.ts";
import type { Decompose, Svd } from "../../jacobi-svd.ts";
import { orthogonalityResidual, transposed } from "../../matrix.ts";
import type { AdaLoraModule, LoraModule, PeftAdapter } from "../../io/peft-adapter.ts";
import { float32Tensor } from "../../io/stored-tensor.ts";
import { factorsOf, type Increment, incrementOf, scaledA, tensorOf } from "./increment.ts";

/**
 * The adapter with each increment as its exact singular value decomposition: B and A orthonormal
 * and E the singular values, descending; in LoRA, A carries them. A module that is in this form
 * already is kept bit for bit. A rank above a matrix's shorter side becomes that side. `decompose`:
 * where the small matrices are decomposed; by default on the CPU.
 */
export function canonical(adapter: PeftAdapter, decompose?: Decompose): PeftAdapter {
  if (adapter.method === "adalora") {
    const svdOf = svdsOf(adapter, adapter.modules, isCanonical, decompose);
    return { ...adapter, modules: adapter.modules.map((one) => canonicalSvd(one, svdOf(one))) };
  }
  const isKept = (increment: Increment) => isCanonical(normalized(increment));
  const svdOf = svdsOf(adapter, adapter.modules, isKept, decompose);
  return { ...adapter, modules: adapter.modules.map((one) => canonicalLora(one, svdOf(one))) };
}

// --- internal ---

/** f32 rounding of orthonormal vectors leaves about 1e-7. */
const ORTHONORMAL = 2e-6;
/** Equal singular values may differ by that much. */
const SORTED = 1 + 1e-6;

/** The SVD of each module's B diag(E) A; undefined for modules that stay as they are. */
function svdsOf<M extends AdaLoraModule | LoraModule>(
  adapter: PeftAdapter,
  modules: readonly M[],
  isKept: (increment: Increment) => boolean,
  decompose: Decompose | undefined,
): (module: M) => Svd | undefined {
  const changed = modules.filter((module) => {
    const increment = incrementOf(adapter, module);
    return increment.rank > 0 && !isKept(increment);
  });
  const svdOf = svdsOfProducts(
    changed,
    (module) => factorsOf(incrementOf(adapter, module)),
    decompose,
  );
  const isChanged = new Set(changed);
  return (module) => (isChanged.has(module) ? svdOf(module) : undefined);
}

function canonicalSvd(module: AdaLoraModule, svd: Svd | undefined): AdaLoraModule {
  if (svd === undefined) return module;
  const { u, s, v } = svd;
  return {
    path: module.path,
    mask: keepFirst(module.mask, s.length),
    A: tensorOf(v),
    E: float32Tensor([s.length, 1], Float32Array.from(s)),
    B: tensorOf(u),
  };
}

function canonicalLora(module: LoraModule, svd: Svd | undefined): LoraModule {
  if (svd === undefined) return module;
  const { u, s, v } = svd;
  return {
    path: module.path,
    alpha: (module.alpha * s.length) / (module.A.shape[0] ?? 0),
    A: tensorOf(scaledA({ a: v, e: s })),
    B: tensorOf(u),
  };
}

/** A LoRA increment with the lengths of A's rows in E, without rows of zeros at the end. */
function normalized(increment: Increment): Increment {
  const { a, rank } = increment;
  const lengths = Float64Array.from({ length: rank }, (_, t) =>
    Math.sqrt(a.values.subarray(t * a.cols, (t + 1) * a.cols).reduce((sum, x) => sum + x * x, 0)),
  );
  const e = lengths.subarray(0, lengths.findLastIndex((length) => length > 0) + 1);
  const rows = { rows: e.length, cols: a.cols, values: a.values.subarray(0, e.length * a.cols) };
  const inverse = e.map((length) => (length === 0 ? 0 : 1 / length));
  return { ...increment, a: scaledA({ a: rows, e: inverse }), e };
}

function isCanonical({ a, b, e }: Increment): boolean {
  const isSorted =
    e?.every((value, i) => value >= 0 && (i === 0 || value <= e[i - 1]! * SORTED)) ?? false;
  return (
    isSorted &&
    orthogonalityResidual(b) <= ORTHONORMAL &&
    orthogonalityResidual(transposed(a)) <= ORTHONORMAL
  );
}

/** The mask with its first `count` kept triplets. */
function keepFirst(mask: readonly boolean[], count: number): readonly boolean[] {
  let left = count;
  return mask.map((kept) => kept && left-- > 0);
}
