import { orthogonalityResidual, svdOfProduct, transposed } from "../../adalora/low-rank-svd.ts";
import type { AdaLoraModule, LoraModule, PeftAdapter } from "../../io/peft-adapter.ts";
import { float32Tensor } from "../../io/stored-tensor.ts";
import { type Increment, incrementOf, scaledA, tensorOf } from "./increment.ts";

/**
 * The adapter with each increment as its exact singular value decomposition: B and A orthonormal
 * and E the singular values, descending; in LoRA, A carries them. A module that is in this form
 * already is kept bit for bit. A rank above a matrix's shorter side becomes that side.
 */
export function canonical(adapter: PeftAdapter): PeftAdapter {
  if (adapter.method === "adalora") {
    return { ...adapter, modules: adapter.modules.map((one) => canonicalSvd(adapter, one)) };
  }
  return { ...adapter, modules: adapter.modules.map((one) => canonicalLora(adapter, one)) };
}

// --- internal ---

/** f32 rounding of orthonormal vectors leaves about 1e-7. */
const ORTHONORMAL = 2e-6;
/** Equal singular values may differ by that much. */
const SORTED = 1 + 1e-6;

function canonicalSvd(adapter: PeftAdapter, module: AdaLoraModule): AdaLoraModule {
  const increment = incrementOf(adapter, module);
  if (increment.rank === 0 || isCanonical(increment)) return module;
  const { u, s, v } = svdOfProduct(increment.b, scaledA(increment));
  return {
    path: module.path,
    mask: keepFirst(module.mask, s.length),
    A: tensorOf(v),
    E: float32Tensor([s.length, 1], Float32Array.from(s)),
    B: tensorOf(u),
  };
}

function canonicalLora(adapter: PeftAdapter, module: LoraModule): LoraModule {
  const increment = incrementOf(adapter, module);
  if (increment.rank === 0 || isCanonical(normalized(increment))) return module;
  const { u, s, v } = svdOfProduct(increment.b, increment.a);
  return {
    path: module.path,
    alpha: (module.alpha * s.length) / increment.rank,
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
