import { describe, expect, test } from "bun:test";
import { cutLora } from "../../../cli/compare/cut-adapter.ts";
import type { LoraAdapter } from "../../../core/io/peft-adapter.ts";
import { float32Tensor } from "../../../core/io/stored-tensor.ts";
import { applyIncrement, incrementOf } from "../../../core/model/export/increment.ts";
import golden from "./lora-cut.golden.json" with { type: "json" };

const loraFields = {
  method: "lora",
  taskType: null,
  baseModel: null,
  dropout: 0,
  saved: new Map(),
} as const;

/** B = columns of the identity, A = rows of the identity times the sizes: singular values by layer. */
function loraOf(sizes: Readonly<Record<string, readonly number[]>>, width: number): LoraAdapter {
  const modules = Object.entries(sizes).map(([path, values]) => {
    const [rank, size] = [values.length, width];
    const a = Float32Array.from({ length: rank * size }, (_, i) =>
      i % size === Math.floor(i / size) ? values[Math.floor(i / size)]! : 0,
    );
    const b = Float32Array.from({ length: size * rank }, (_, i) =>
      i % rank === Math.floor(i / rank) ? 1 : 0,
    );
    const [A, B] = [float32Tensor([rank, size], a), float32Tensor([size, rank], b)];
    return { path, alpha: 2 * rank, A, B };
  });
  return { ...loraFields, modules };
}

test("the largest singular values over all layers stay, those that fit, with the same scale", () => {
  const adapter = loraOf({ x: [1, 5, 3], y: [4, 2, 0.5], z: [0.1, 0.2, 0.3] }, 4);
  const cut = cutLora(adapter, 4 * 8 + 7); // a triplet has 8 parameters: 4 fit
  const ranks = cut.modules.map(({ path, A, B, alpha }) => [path, A.shape, B.shape, alpha]);
  expect(ranks).toEqual([
    ["x", [2, 4], [4, 2], 4],
    ["y", [2, 4], [4, 2], 4],
  ]);
  const [x] = cut.modules.map((module) => incrementOf(cut, module));
  const dense = Array.from({ length: 16 }, (_, i) => {
    const [row, column] = [Math.floor(i / 4), i % 4];
    let sum = 0;
    for (let t = 0; t < 2; t++) sum += x!.b.values[row * 2 + t]! * x!.a.values[t * 4 + column]!;
    return Math.abs(x!.scale * sum);
  });
  // the increment was diag(2, 10, 6, 0): its smallest part is gone
  for (const [i, want] of [0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0].entries()) {
    expect(dense[i]).toBeCloseTo(want, 5);
  }
});

test("a budget of everything cuts nothing", () => {
  const adapter = loraOf({ x: [3, 2], y: [1, 4] }, 3);
  expect(cutLora(adapter, 24).modules.map(({ A }) => A.shape)).toEqual([
    [2, 3],
    [2, 3],
  ]);
});

describe("numpy's cuts (test/oracle/lora_cut.py)", () => {
  const modules = golden.layers.map(({ path, alpha, inputs, outputs, a, b }) => ({
    path,
    alpha,
    A: float32Tensor([golden.rank, inputs], Float32Array.from(a)),
    B: float32Tensor([outputs, golden.rank], Float32Array.from(b)),
  }));
  for (const { budget, ranks, increments } of golden.cuts)
    test(`to ${budget} parameters`, () => {
      const cut = cutLora({ ...loraFields, modules }, budget);
      for (const [i, { path, inputs, outputs }] of golden.layers.entries()) {
        const module = cut.modules.find((one) => one.path === path);
        expect(module?.A.shape[0] ?? 0, path).toBe(ranks[i]!);
        if (!module) continue;
        const columns = applyIncrement(incrementOf(cut, module), identity(inputs)).values;
        for (const [index, value] of increments[i]!.entries()) {
          const [row, column] = [Math.floor(index / inputs), index % inputs];
          expect(columns[column * outputs + row], path).toBeCloseTo(value, 5);
        }
      }
    });
});

function identity(size: number) {
  const values = Float64Array.from({ length: size * size }, (_, i) => +(i % (size + 1) === 0));
  return { rows: size, cols: size, values };
}
