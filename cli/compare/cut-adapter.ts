import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Matrix } from "../../core/matrix.ts";
import type { LoraAdapter, LoraModule } from "../../core/io/peft-adapter.ts";
import { ADAPTER_FACTS, readPeftAdapter, writePeftAdapter } from "../../core/io/peft.ts";
import { errors } from "../../core/errors.ts";
import { canonical } from "../../core/model/export/canonical.ts";
import { incrementOf, tensorOf } from "../../core/model/export/increment.ts";
import { runFiles } from "../../core/run/run-folder.ts";
import { savedTokenizerNames } from "../../core/text/save-tokenizer.ts";

/** The folder of a cut adapter, in its run's folder. */
export const CUT_ADAPTER = "cut_adapter";

/**
 * Cuts a trained LoRA to a budget of parameters: the increments' singular values compete over all
 * layers, and the largest stay whose rows of A and columns of B fit. Writes the adapter beside the
 * run's own.
 */
export function writeCutAdapter(run: string, budget: number): void {
  const from = join(run, runFiles.adapter);
  const adapter = readPeftAdapter(from);
  if (adapter.method !== "lora") throw errors.file(from, "is not a LoRA, which can be cut");
  const names = [ADAPTER_FACTS, ...savedTokenizerNames];
  const files = names
    .filter((name) => existsSync(join(from, name)))
    .map((name) => [name, readFileSync(join(from, name))] as const);
  writePeftAdapter(join(run, CUT_ADAPTER), cutLora(adapter, budget), new Map(files));
}

/** The LoRA with its largest singular values, whose parameters add up to at most `budget`. */
export function cutLora(adapter: LoraAdapter, budget: number): LoraAdapter {
  const exact = canonical(adapter);
  const increments = exact.modules.map((module) => incrementOf(exact, module));
  const candidates = increments.flatMap(({ a, b, scale }, module) =>
    Array.from({ length: a.rows }, (_, row) => {
      const values = a.values.subarray(row * a.cols, (row + 1) * a.cols);
      const size = scale * Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
      return { module, size, cost: a.cols + b.rows };
    }),
  );
  const ranks = increments.map(() => 0);
  let spent = 0;
  for (const { module, cost } of candidates.toSorted((x, y) => y.size - x.size)) {
    spent += cost;
    if (spent > budget) break;
    ranks[module]! += 1;
  }
  const modules = increments.flatMap(({ path, a, b, scale }, i): LoraModule[] => {
    const rank = ranks[i]!;
    if (rank === 0) return [];
    const A = { rows: rank, cols: a.cols, values: a.values.slice(0, rank * a.cols) };
    return [{ path, alpha: scale * rank, A: tensorOf(A), B: tensorOf(firstColumns(b, rank)) }];
  });
  return { ...adapter, modules };
}

// --- internal ---

function firstColumns({ rows, cols, values }: Matrix, count: number): Matrix {
  const out = new Float64Array(rows * count);
  for (let row = 0; row < rows; row++) {
    out.set(values.subarray(row * cols, row * cols + count), row * count);
  }
  return { rows, cols: count, values: out };
}
