import { describe, expect, test } from "bun:test";
import { coreOf, svdOfProduct, svdsOfProducts } from "../../../core/adalora/low-rank-svd.ts";
import { type Decompose, type Svd, decomposeOnCpu } from "../../../core/jacobi-svd.ts";
import { type Matrix, orthogonalityResidual, product, transposed } from "../../../core/matrix.ts";
import { wave } from "../../helpers/wave.ts";

const matrix = (rows: number, cols: number, phase: number): Matrix => ({
  rows,
  cols,
  values: Float64Array.from(wave(rows * cols, phase)),
});

const largestDifference = (x: Matrix, y: Matrix) =>
  Math.max(0, ...x.values.map((value, i) => Math.abs(value - y.values[i]!)));

/** The factors, with s folded into U. */
const multiplied = ({ u, s, v }: Svd) =>
  product({ ...u, values: u.values.map((value, i) => value * s[i % u.cols]!) }, v);

const cases: readonly (readonly [string, Matrix, Matrix])[] = [
  ["a tall product", matrix(33, 4, 1), matrix(4, 9, 2)],
  ["a wide one", matrix(5, 3, 3), matrix(3, 40, 4)],
  ["rank 1", matrix(7, 1, 5), matrix(1, 6, 6)],
  ["a rank above the shorter side", matrix(3, 8, 7), matrix(8, 12, 8)],
  ["linearly dependent factors", product(matrix(9, 2, 9), matrix(2, 5, 10)), matrix(5, 7, 11)],
  ["zeros", { rows: 6, cols: 2, values: new Float64Array(12) }, matrix(2, 5, 12)],
];

/**
 * numpy.linalg.svd, 2.4: of sin(0.37 k^2 + 1), [64, 40], times sin(0.37 k^2 + 2), [40, 48], where k
 * counts a matrix's elements row by row.
 */
const fromNumpy = [
  49.19795406, 46.97071606, 45.75180394, 43.54952238, 41.56024806, 39.91322717, 38.165235,
  36.95231041, 35.83998318, 35.37751326, 33.53442182, 33.21373789, 32.54321421, 31.12535648,
  29.95426208, 29.39182757, 27.25931381, 26.71823625, 25.58244313, 24.8841178, 23.49014056,
  22.57192639, 20.15879107, 19.46398236, 17.75508155, 17.23719737, 16.54925084, 15.30069281,
  13.6972558, 12.17925029, 11.84988807, 10.68802412, 9.619289642, 8.728976132, 8.288943021,
  6.438911144, 5.885953334, 5.523361528, 3.692453173, 3.417161565,
];

describe("svdOfProduct", () => {
  test.each(cases)("of %s multiplies to it, with orthonormal sides", (_, b, a) => {
    const found = svdOfProduct({ b, a });
    const scale = Math.max(1, found.s[0] ?? 0);
    expect(largestDifference(multiplied(found), product(b, a))).toBeLessThan(1e-13 * scale);
    expect(orthogonalityResidual(found.u)).toBeLessThan(1e-13);
    expect(orthogonalityResidual(transposed(found.v))).toBeLessThan(1e-13);
    expect([...found.s]).toEqual([...found.s].toSorted((x, y) => y - x));
    expect(found.s.length).toBe(Math.min(b.rows, b.cols, a.cols));
  });

  test("gives the singular values of a known matrix", () => {
    const b = { rows: 2, cols: 2, values: Float64Array.of(3, 0, 4, 5) };
    const identity = { rows: 2, cols: 2, values: Float64Array.of(1, 0, 0, 1) };
    const { s } = svdOfProduct({ b, a: identity });
    expect(s[0]).toBeCloseTo(Math.sqrt(45), 12);
    expect(s[1]).toBeCloseTo(Math.sqrt(5), 12);
  });

  test("gives the singular values that numpy does, at a rank above 32", () => {
    const noise = (rows: number, cols: number, phase: number): Matrix => ({
      rows,
      cols,
      values: Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(0.37 * i * i + phase)),
    });
    const { s } = svdOfProduct({ b: noise(64, 40, 1), a: noise(40, 48, 2) });
    expect(s).toHaveLength(fromNumpy.length);
    for (const [i, value] of fromNumpy.entries())
      expect(Math.abs(s[i]! - value)).toBeLessThan(1e-8 * fromNumpy[0]!);
  });
});

describe("svdsOfProducts", () => {
  const items = cases.map(([, b, a]) => ({ b, a }));

  test("without a decomposer has the bits of svdOfProduct", () => {
    const svdOf = svdsOfProducts(items, (item) => item);
    for (const item of items) expect(svdOf(item)).toEqual(svdOfProduct(item));
  });

  test("hands all small matrices over in one call, and the signs are not the decomposer's", () => {
    const calls: (readonly Matrix[])[] = [];
    const negate = (m: Matrix): Matrix => ({ ...m, values: m.values.map((value) => -value) });
    const negated: Decompose = (matrices) => {
      calls.push(matrices);
      return decomposeOnCpu(matrices).map(({ u, s, v }) => ({ u: negate(u), s, v: negate(v) }));
    };
    const svdOf = svdsOfProducts(items, (item) => item, negated);
    for (const item of items) {
      const [found, expected] = [svdOf(item), svdOfProduct(item)];
      expect(largestDifference(found.u, expected.u)).toBe(0);
      expect(largestDifference(found.v, expected.v)).toBe(0);
    }
    expect(calls).toEqual([items.map((item) => coreOf(item))]);
  });

  test("of vectors with equal entries, rounding does not choose the signs", () => {
    const identity = { rows: 2, cols: 2, values: Float64Array.of(1, 0, 0, 1) };
    // The rows of V are (1, 1) and (1, -1), over the root of 2.
    for (const off of [0, 1e-15, -1e-15]) {
      const b = { rows: 2, cols: 2, values: Float64Array.of(3, 1 + off, 1, 3 - off) };
      const { v } = svdOfProduct({ b, a: identity });
      expect([...v.values].map((value) => Math.sign(value))).toEqual([1, 1, 1, -1]);
    }
  });
});
