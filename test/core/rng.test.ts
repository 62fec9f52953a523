import { describe, expect, test } from "bun:test";
import { normals, philox, seedKey, uniforms } from "../../core/rng.ts";

const hex = (words: readonly number[]) =>
  words.map((w) => w.toString(16).padStart(8, "0")).join(" ");

describe("philox equals Random123's known answers", () => {
  const ones = 0xffffffff;
  const cases = [
    ["zeros", [0, 0, 0, 0], [0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    ["ones", [ones, ones, ones, ones], [ones, ones], "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    [
      "digits of pi",
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      "d16cfe09 94fdcceb 5001e420 24126ea1",
    ],
  ] as const;
  for (const [name, counter, key, want] of cases)
    test(name, () => expect(hex(philox(counter, key))).toBe(want));
});

test("a seed above 32 bits uses both words of the key", () => {
  expect(seedKey(7)).toEqual([7, 0]);
  expect(seedKey(2 ** 32 + 7)).toEqual([7, 1]);
  expect(seedKey(2 ** 53 - 1)).toEqual([0xffffffff, 2 ** 21 - 1]);
  expect(normals(8, 1, 7, 0)).not.toEqual(normals(8, 1, 2 ** 32 + 7, 0));
});

/** The mean and the standardised central moments 2 to 4. */
function moments(x: Float32Array): { mean: number; std: number; skew: number; kurtosis: number } {
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
  const central = (k: number) => x.reduce((sum, v) => sum + (v - mean) ** k, 0) / x.length;
  const std = Math.sqrt(central(2));
  return { mean, std, skew: central(3) / std ** 3, kurtosis: central(4) / std ** 4 };
}

const N = 40_000;
const within = (got: number, expected: number, sigma: number) =>
  expect(Math.abs(got - expected)).toBeLessThan(4 * sigma); // sigma: standard error of the estimate

describe("normals", () => {
  const x = normals(N, 0.02, 42, 3);

  test("have the moments of N(0, std)", () => {
    const m = moments(x);
    within(m.mean, 0, 0.02 / Math.sqrt(N));
    within(m.std, 0.02, 0.02 / Math.sqrt(2 * N));
    within(m.skew, 0, Math.sqrt(6 / N));
    within(m.kurtosis, 3, Math.sqrt(24 / N));
  });

  test("exceed three standard deviations at the expected rate", () => {
    const far = x.filter((v) => Math.abs(v) > 3 * 0.02).length;
    within(far, 0.0026998 * N, Math.sqrt(0.0026998 * N));
  });

  test("neighbours within a block of four are not correlated", () => {
    for (const lag of [1, 2, 3, 4]) {
      let sum = 0;
      for (let i = lag; i < N; i++) sum += (x[i]! * x[i - lag]!) / 0.02 ** 2;
      within(sum / N, 0, 1 / Math.sqrt(N));
    }
  });

  test("a draw depends only on seed, stream and index, not on how many are drawn", () => {
    for (const n of [1, 2, 3, 5, 1001]) expect(normals(n, 0.02, 42, 3)).toEqual(x.slice(0, n));
    expect(normals(8, 0.02, 43, 3)).not.toEqual(x.slice(0, 8));
    expect(normals(8, 0.02, 42, 4)).not.toEqual(x.slice(0, 8));
  });
});

describe("uniforms", () => {
  const x = uniforms(N, 0.5, 42, 3);

  test("have the moments of U(-bound, bound) and stay inside", () => {
    const m = moments(x);
    within(m.mean, 0, 0.5 / Math.sqrt(3 * N));
    within(m.std, 0.5 / Math.sqrt(3), 0.5 / Math.sqrt(3 * N));
    within(m.kurtosis, 1.8, 0.02);
    for (const v of x) expect(Math.abs(v)).toBeLessThanOrEqual(0.5);
    expect(Math.max(...x)).toBeGreaterThan(0.4995);
    expect(Math.min(...x)).toBeLessThan(-0.4995);
  });

  test("differ from the normals of the same stream", () => {
    const radius = (v: number) => Math.exp((-v * v) / 2);
    const gaussian = normals(N, 1, 42, 3);
    let sum = 0;
    for (let i = 0; i < N; i++) sum += x[i]! * (radius(gaussian[i]!) - Math.SQRT1_2);
    within(sum / N, 0, 0.5 / Math.sqrt(3 * N));
  });

  test("a draw depends only on seed, stream and index, not on how many are drawn", () => {
    for (const n of [1, 3, 6]) expect(uniforms(n, 0.5, 42, 3)).toEqual(x.slice(0, n));
    expect(uniforms(8, 0.5, 42, 4)).not.toEqual(x.slice(0, 8));
  });
});
