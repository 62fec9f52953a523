import { describe, expect, test } from "bun:test";
import {
  type Matrix,
  orthogonalityResidual,
  product,
  svdOfProduct,
  transposed,
} from "../../../core/adalora/low-rank-svd.ts";
import { wave } from "../../helpers/wave.ts";

const matrix = (rows: number, cols: number, phase: number): Matrix => ({
  rows,
  cols,
  values: Float64Array.from(wave(rows * cols, phase)),
});

const largestDifference = (x: Matrix, y: Matrix) =>
  Math.max(0, ...x.values.map((value, i) => Math.abs(value - y.values[i]!)));

/** The factors, with s folded into U. */
const multiplied = ({ u, s, v }: ReturnType<typeof svdOfProduct>) =>
  product({ ...u, values: u.values.map((value, i) => value * s[i % u.cols]!) }, v);

const cases: readonly (readonly [string, Matrix, Matrix])[] = [
  ["a tall product", matrix(33, 4, 1), matrix(4, 9, 2)],
  ["a wide one", matrix(5, 3, 3), matrix(3, 40, 4)],
  ["rank 1", matrix(7, 1, 5), matrix(1, 6, 6)],
  ["a rank above the shorter side", matrix(3, 8, 7), matrix(8, 12, 8)],
  ["linearly dependent factors", product(matrix(9, 2, 9), matrix(2, 5, 10)), matrix(5, 7, 11)],
  ["zeros", { rows: 6, cols: 2, values: new Float64Array(12) }, matrix(2, 5, 12)],
];

describe("svdOfProduct", () => {
  test.each(cases)("of %s multiplies to it, with orthonormal sides", (_, b, a) => {
    const found = svdOfProduct(b, a);
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
    const { s } = svdOfProduct(b, identity);
    expect(s[0]).toBeCloseTo(Math.sqrt(45), 12);
    expect(s[1]).toBeCloseTo(Math.sqrt(5), 12);
  });
});
