import type { Matrix } from "../../matrix.ts";
import type { LoraAdapter, LoraModule, PeftAdapter } from "../../io/peft-adapter.ts";
import { type Increment, incrementOf, scaledA, tensorOf } from "./increment.ts";

/**
 * The adapter as a plain LoRA with the same increments: A' = diag(E) A, and an alpha per module
 * that gives AdaLoRA's scale at the module's own rank. Modules of rank 0 are left out.
 */
export function asLora(adapter: PeftAdapter): LoraAdapter {
  if (adapter.method === "lora") return withTarget(adapter);
  return loraOf(adapter, (increment) => ({
    path: increment.path,
    alpha: increment.scale * increment.rank,
    A: tensorOf(scaledA(increment)),
    B: tensorOf(increment.b),
  }));
}

/**
 * The adapter as a LoRA of one rank, the largest, and alpha equal to it, for servers that read one
 * rank and one alpha: scales are folded into A, and zeros are appended to A and B.
 */
export function asUniformLora(adapter: PeftAdapter): LoraAdapter {
  const rank = Math.max(1, ...adapter.modules.map(({ A }) => A.shape[0] ?? 0));
  return loraOf(adapter, (increment) => {
    const { path, scale, b } = increment;
    const a = scaledA(increment);
    const scaled = { ...a, values: a.values.map((value) => value * scale) };
    return {
      path,
      alpha: rank,
      A: tensorOf(paddedTo(scaled, rank, a.cols)),
      B: tensorOf(paddedTo(b, b.rows, rank)),
    };
  });
}

// --- internal ---

function loraOf(adapter: PeftAdapter, convert: (one: Increment) => LoraModule): LoraAdapter {
  const { taskType, baseModel, revision, dropout, saved } = adapter;
  const converted = adapter.modules
    .filter(({ A }) => A.shape[0] !== 0)
    .map((module) => convert(incrementOf(adapter, module)));
  const modules = converted.length > 0 ? converted : zeroPairs(adapter);
  return { method: "lora", taskType, baseModel, revision, dropout, saved, modules };
}

/** A LoRA without modules of rank 0. */
function withTarget(adapter: LoraAdapter): LoraAdapter {
  const modules = adapter.modules.filter(({ A }) => A.shape[0] !== 0);
  return { ...adapter, modules: modules.length > 0 ? modules : zeroPairs(adapter) };
}

/** The first module with a pair of zeros: PEFT refuses an adapter without a target module. */
function zeroPairs({ modules }: PeftAdapter): readonly LoraModule[] {
  return modules.slice(0, 1).map(({ path, A, B }) => {
    const [cols = 0, rows = 0] = [A.shape[1], B.shape[0]];
    return {
      path,
      alpha: 1,
      A: tensorOf({ rows: 1, cols, values: new Float64Array(cols) }),
      B: tensorOf({ rows, cols: 1, values: new Float64Array(rows) }),
    };
  });
}

/** The matrix with rows and columns of zeros appended. */
function paddedTo({ rows: n, cols: m, values }: Matrix, rows: number, cols: number): Matrix {
  const out = new Float64Array(rows * cols);
  for (let i = 0; i < n; i++) out.set(values.subarray(i * m, (i + 1) * m), i * cols);
  return { rows, cols, values: out };
}
