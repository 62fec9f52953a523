import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { IncrementalSvd } from "../../../../core/adalora/starts/incremental-svd.ts";
import { dot } from "../../../../core/adalora/starts/vectors.ts";
import { toFloat64 } from "../../../../core/io/float-conversion.ts";
import { openSafetensors } from "../../../../core/io/safetensors.ts";
import golden from "../../../fixtures/eva/activations.json" with { type: "json" };
import { wave } from "../../../helpers/wave.ts";

const { tensors } = openSafetensors(
  join(import.meta.dir, "../../../fixtures/eva/activations.safetensors"),
);

function valuesOf(name: string): Float64Array {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`no ${name}`);
  return toFloat64(tensor);
}

const { components: k, tau, counts } = golden;
const features = valuesOf("rows.0").length / (counts[0] ?? 1);

/** The largest difference between two lists of equal length. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!)), 0);
}

const flat = (vectors: readonly Float64Array[]) => vectors.flatMap((v) => Array.from(v));

function expectOrthonormal(vectors: readonly Float64Array[]): void {
  for (const [i, v] of vectors.entries())
    for (const [j, w] of vectors.entries())
      expect(Math.abs(dot(v, w) - (i === j ? 1 : 0))).toBeLessThan(1e-12);
}

describe("PEFT's EVA on six batches", () => {
  const svd = new IncrementalSvd(k, features);
  const seen = counts.map((count, i) => {
    svd.update(valuesOf(`rows.${i}`), count);
    return {
      rows: flat(svd.components),
      values: svd.singularValues,
      converged: svd.converged(tau),
    };
  });

  // PEFT rounds the first batch to f32 and approximates the SVD; on this spectrum both stay below
  // 1e-6.
  for (const way of ["exact", "peft"] as const) {
    test(`${way}: the rows of A after every batch, signs included`, () => {
      for (const [i, { rows }] of seen.entries())
        expect(distance(rows, valuesOf(`${way}.components_.${i}`))).toBeLessThan(1e-6);
    });

    test(`${way}: the singular values`, () => {
      for (const [i, { values }] of seen.entries()) {
        const expected = valuesOf(`${way}.singular_values_.${i}`);
        expect(distance(values, expected)).toBeLessThan(1e-6 * expected[0]!);
      }
    });

    test(`${way}: converged after the same batches`, () => {
      const expected = golden[`${way}_converged`].map((each) => each.every(Boolean));
      expect(seen.map(({ converged }) => converged)).toEqual(expected);
      expect(new Set(expected).size).toBe(2);
    });
  }

  test("rows are orthonormal", () => expectOrthonormal(svd.components));
});

test("f32 rows and f64 rows of the same values give the same bits", () => {
  const [single, double] = [new IncrementalSvd(k, features), new IncrementalSvd(k, features)];
  for (const [i, count] of counts.entries()) {
    single.update(Float32Array.from(valuesOf(`rows.${i}`)), count);
    double.update(valuesOf(`rows.${i}`), count);
  }
  expect(single.components).toEqual(double.components);
});

test("with every component kept, batches give what all rows at once give", () => {
  const [n, c] = [24, 4];
  const rows = wave(n * c, 2);
  const [whole, parts] = [new IncrementalSvd(c, c), new IncrementalSvd(c, c)];
  whole.update(rows, n);
  for (const [from, to] of [
    [0, 5],
    [5, 16],
    [16, 24],
  ] as const)
    parts.update(rows.slice(from * c, to * c), to - from);
  expect(distance(parts.singularValues, whole.singularValues)).toBeLessThan(1e-12);
  expect(distance(flat(parts.components), flat(whole.components))).toBeLessThan(1e-7);
});

test("a batch of fewer rows than components changes nothing", () => {
  const svd = new IncrementalSvd(k, features);
  const rows = valuesOf("rows.0");
  expect(svd.update(rows, k - 1)).toBe(false);
  expect(svd.components).toEqual([]);
  svd.update(rows, 40);
  svd.update(rows, 40);
  const [before, converged] = [svd.components, svd.converged(tau)];
  expect(svd.update(valuesOf("rows.1"), k - 1)).toBe(false);
  expect(svd.components).toBe(before);
  expect(svd.converged(tau)).toBe(converged);
});

test("nothing has converged before two updates", () => {
  const svd = new IncrementalSvd(k, features);
  expect(svd.converged(0)).toBe(false);
  svd.update(valuesOf("rows.0"), 40);
  expect(svd.converged(0)).toBe(false);
  svd.update(valuesOf("rows.0"), 40);
  expect(svd.converged(tau)).toBe(true);
});

describe("components without variance", () => {
  test("a constant input converges at once, to some orthonormal rows", () => {
    const svd = new IncrementalSvd(3, 10);
    for (const count of [7, 11]) svd.update(new Float32Array(count * 10).fill(0.1), count);
    expect(svd.converged(0.99)).toBe(true);
    expectOrthonormal(svd.components);
  });

  test("a constant input of zeros too", () => {
    const svd = new IncrementalSvd(3, 10);
    for (const count of [7, 11]) svd.update(new Float32Array(count * 10), count);
    expect(svd.converged(0.99)).toBe(true);
    expectOrthonormal(svd.components);
  });

  test("an input of rank 1 converges with its one direction, the rest orthonormal to it", () => {
    const [direction, svd] = [wave(10, 1), new IncrementalSvd(4, 10)];
    for (const count of [9, 12]) {
      const heights = Array.from(wave(count, count));
      const rows = heights.flatMap((h) => Array.from(direction, (x) => 5 + h * x));
      svd.update(Float32Array.from(rows), count);
    }
    expect(svd.converged(0.99)).toBe(true);
    expectOrthonormal(svd.components);
    const length = Math.hypot(...direction);
    const cosine = dot(svd.components[0] ?? new Float64Array(10), Float64Array.from(direction));
    expect(Math.abs(cosine) / length).toBeGreaterThan(1 - 1e-12);
  });
});

test("activations that are not finite are refused", () => {
  const rows = valuesOf("rows.0").slice();
  rows[7] = NaN;
  expect(() => new IncrementalSvd(k, features).update(rows, 40)).toThrow("activations are finite");
});
