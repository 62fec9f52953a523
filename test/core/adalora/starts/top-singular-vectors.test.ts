import { describe, expect, test } from "bun:test";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { gramProduct } from "../../../../core/adalora/starts/gram-product.ts";
import { topSingularVectors } from "../../../../core/adalora/starts/top-singular-vectors.ts";
import { dot } from "../../../../core/adalora/starts/vectors.ts";
import { normals } from "../../../../core/rng.ts";
import { createCpuBackend } from "../../../../ffi/cpu/backend.ts";
import { available } from "../../../helpers/available.ts";

const cpu = await available(() => createCpuBackend({ threads: 1 }));

const noise = (rows: number, columns: number, scale: (column: number) => number = () => 1) =>
  Array.from({ length: rows }, (_, r) =>
    Float64Array.from(normals(columns, 1, 3, r), (x, c) => x * scale(c)),
  );

/** The eigenvalues of MᵀM, descending, by a dense solver. */
function eigenvalues(rows: readonly Float64Array[]): number[] {
  const m = new Matrix(rows.map((row) => Array.from(row)));
  const gram = m.transpose().mmul(m);
  return new EigenvalueDecomposition(gram, { assumeSymmetric: true }).realEigenvalues.toReversed();
}

/** Values as a dense solver has them, and pairs that satisfy MᵀM v = s² v. */
function expectTop(rows: readonly Float64Array[], k: number, tolerance: number): void {
  const { values, vectors } = topSingularVectors(rows, k);
  const expected = eigenvalues(rows);
  expect([values.length, vectors.length]).toEqual([k, k]);
  const images = gramProduct(rows, vectors);
  for (const [i, value] of values.entries()) {
    expect(Math.abs(value ** 2 - expected[i]!)).toBeLessThan(tolerance * expected[0]!);
    const residual = images[i]!.map((x, c) => x - value ** 2 * vectors[i]![c]!);
    expect(Math.sqrt(dot(residual, residual))).toBeLessThan(tolerance * expected[0]!);
    for (const [j, other] of vectors.entries())
      expect(Math.abs(dot(vectors[i]!, other) - (i === j ? 1 : 0))).toBeLessThan(1e-12);
  }
}

describe("the top singular vectors", () => {
  test("of a falling spectrum", () =>
    expectTop(
      noise(50, 30, (c) => 0.8 ** c),
      6,
      1e-8,
    ));
  test("of a flat spectrum, which needs restarts", () => expectTop(noise(150, 120), 2, 1e-8));
  test("of fewer rows than columns", () => expectTop(noise(9, 40), 5, 1e-8));
  test("all of them", () => expectTop(noise(20, 6), 6, 1e-8));
  test("of a matrix of lower rank than what is requested", () =>
    expectTop(
      noise(20, 12, (c) => (c < 3 ? 1 : 0)),
      5,
      1e-8,
    ));

  test("of a value that occurs three times", () => {
    const rows = Array.from({ length: 20 }, (_, i) => {
      const row = new Float64Array(20);
      row[i] = i < 3 ? 2 : 1 / (1 + i);
      return row;
    });
    expectTop(rows, 4, 1e-8);
  });

  test("of rows that only the last batch's features fill: no earlier direction hides them", () => {
    const rows = [...noise(10, 40, (c) => (c < 20 ? 1 : 0)), ...noise(30, 40, (c) => +(c >= 20))];
    expectTop(rows, 4, 1e-8);
  });
});

describe("with rough vectors of the backend first", () => {
  const distance = (got: readonly Float64Array[], expected: readonly Float64Array[]) =>
    Math.max(
      ...got.flatMap((v, i) => {
        const sign = Math.sign(dot(v, expected[i]!));
        return Array.from(v, (x, c) => Math.abs(sign * x - expected[i]![c]!));
      }),
    );

  test.skipIf(!cpu.backend)("the vectors are those without it", () => {
    const rows = noise(400, 200, (c) => (1 + c) ** -0.2);
    const expected = topSingularVectors(rows, 6);
    const got = topSingularVectors(rows, 6, cpu.backend);
    expect(got.vectors).not.toEqual(expected.vectors);
    expect(distance(got.vectors, expected.vectors)).toBeLessThan(1e-6);
    for (const [i, value] of got.values.entries())
      expect(Math.abs(value - expected.values[i]!)).toBeLessThan(1e-9 * expected.values[0]!);
    expectOrthonormal(got.vectors);
  });

  test.skipIf(!cpu.backend)("nothing stays allocated", () => {
    const before = cpu.backend?.memory().live;
    topSingularVectors(noise(400, 200), 3, cpu.backend);
    expect(cpu.backend?.memory().live).toBe(before);
  });

  test.skipIf(!cpu.backend)("magnitudes whose squares f32 can't hold are no problem", () => {
    const rows = noise(400, 200, (c) => 1e30 * 0.9 ** c);
    const { vectors } = topSingularVectors(rows, 3, cpu.backend);
    expect(distance(vectors, topSingularVectors(rows, 3).vectors)).toBeLessThan(1e-6);
  });

  test.skipIf(!cpu.backend)("zeros have some orthonormal vectors", () => {
    const rows = noise(400, 200, () => 0);
    expectOrthonormal(topSingularVectors(rows, 3, cpu.backend).vectors);
  });
});

function expectOrthonormal(vectors: readonly Float64Array[]): void {
  for (const [i, v] of vectors.entries())
    for (const [j, w] of vectors.entries())
      expect(Math.abs(dot(v, w) - +(i === j))).toBeLessThan(1e-12);
}

describe("MᵀM x", () => {
  for (const [n, v] of [
    [1, 1],
    [3, 2],
    [4, 1],
    [5, 3],
    [8, 4],
  ] as const)
    test(`${n} rows, ${v} vectors`, () => {
      const rows = noise(n, 7);
      const vectors = noise(v, 7, (c) => c + 1);
      const products = gramProduct(rows, vectors);
      expect(products).toHaveLength(v);
      for (const [i, x] of vectors.entries())
        for (let c = 0; c < 7; c++) {
          const expected = rows.reduce((sum, row) => sum + row[c]! * dot(row, x), 0);
          expect(products[i]![c]).toBeCloseTo(expected, 10);
        }
    });
});
