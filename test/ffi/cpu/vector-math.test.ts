import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Pointer, ptr } from "bun:ffi";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { erf } from "../../../core/backend/reference/erf.ts";
import { buildKernels } from "../../../ffi/cpu/build.ts";
import { cpuFlags, usableLevels } from "../../../ffi/cpu/isa.ts";
import { openLibrary } from "../../../ffi/load.ts";

const header = join(import.meta.dir, "../../../ffi/cpu/kernels/vector-math.h");
const each = (name: string, value: string) =>
  `void ${name}(const float *x, float *y, int n) {
   _Pragma("omp simd") for (int i = 0; i < n; i++) y[i] = ${value};
 }`;
const SOURCE = `#include "${header}"
${each("exponential", "exp_negative(x[i])")}
${each("cdf", "gauss_at(x[i]).cdf")}
${each("pdf", "gauss_at(x[i]).pdf")}
${each("hyperbolic", "tanh_at(x[i])")}
${each("sigmoid", "sigmoid_at(x[i])")}
`;
const NAMES = ["exponential", "cdf", "pdf", "hyperbolic", "sigmoid"] as const;
type Name = (typeof NAMES)[number];

const possible =
  cpuFlags().has("avx2") && ["gcc", "cc", "clang"].some((name) => Bun.which(name) !== null);
const root = mkdtempSync(join(tmpdir(), "adalora-math-"));
afterAll(() => rmSync(root, { recursive: true }));

const call = { args: ["ptr", "ptr", "i32"], returns: "void" } as const;
let symbols: Record<Name, (x: Pointer, y: Pointer, n: number) => void>;
beforeAll(async () => {
  if (!possible) return;
  writeFileSync(join(root, "math.c"), SOURCE);
  const levels = usableLevels().slice(-1);
  const { manifest } = await buildKernels({ from: root, to: root, levels });
  const file = Object.values(manifest.libraries)[0] ?? "";
  const table = { exponential: call, cdf: call, pdf: call, hyperbolic: call, sigmoid: call };
  symbols = openLibrary("the functions", [join(root, file)], table, "").symbols;
});

/** f(x) for these x, as C has it. */
function evaluate(name: Name, x: Float32Array): Float32Array {
  const y = new Float32Array(new ArrayBuffer(x.byteLength));
  symbols[name](ptr(x), ptr(y), x.length);
  return y;
}

/** 200 000 floats of an interval. */
function sweep(from: number, to: number): Float32Array {
  const x = new Float32Array(new ArrayBuffer(800_000));
  for (let i = 0; i < x.length; i++) x[i] = from + ((to - from) * i) / (x.length - 1);
  return x;
}

/** The largest error of `name` over the interval, relative to the true value or absolute. */
function worst(
  name: Name,
  [from, to]: readonly [number, number],
  truth: (x: number) => number,
  relative: boolean,
): number {
  const x = sweep(from, to);
  const y = evaluate(name, x);
  let error = 0;
  for (let i = 0; i < x.length; i++) {
    const want = truth(x[i]!);
    error = Math.max(error, Math.abs(y[i]! - want) / (relative ? Math.abs(want) || 1 : 1));
  }
  return error;
}

/** 0.5 erfc(-x / sqrt 2), by the tail's own series where 1 + erf would cancel. */
function normalCdf(x: number): number {
  if (x > -2) return 0.5 * (1 + erf(x / Math.SQRT2));
  let tail = -x;
  for (let n = 200; n >= 1; n--) tail = -x + n / tail;
  return normalPdf(x) / tail;
}

const normalPdf = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

describe.skipIf(!possible)("vector maths (needs a C compiler and AVX2)", () => {
  test("exp of negative numbers is right to 1e-7", () => {
    expect(worst("exponential", [-87, 0], Math.exp, true)).toBeLessThan(1e-7);
    expect(worst("exponential", [-0.01, 0], Math.exp, true)).toBeLessThan(1e-7);
  });

  test("exp ends in 0 and lets NaN through", () => {
    const x = Float32Array.from([-0, -88, -1e30, -Infinity, Number.NaN]);
    expect([...evaluate("exponential", x)]).toEqual([1, 0, 0, 0, Number.NaN]);
  });

  test("the normal distribution keeps its digits in the tail", () => {
    expect(worst("cdf", [-1, 9], normalCdf, true)).toBeLessThan(4e-7);
    expect(worst("cdf", [-5, -1], normalCdf, true)).toBeLessThan(1e-6);
    expect(worst("cdf", [-14, 14], normalCdf, false)).toBeLessThan(2e-7);
    expect(worst("pdf", [-14, 14], normalPdf, false)).toBeLessThan(1e-7);
  });

  test("tanh is right to 3e-7, around 0 and where its two forms meet", () => {
    expect(worst("hyperbolic", [-10, 10], Math.tanh, true)).toBeLessThan(3e-7);
    expect(worst("hyperbolic", [-1e-3, 1e-3], Math.tanh, true)).toBeLessThan(3e-7);
    expect(worst("hyperbolic", [0.6, 0.65], Math.tanh, true)).toBeLessThan(3e-7);
  });

  test("the sigmoid keeps its digits in the lower tail", () => {
    expect(worst("sigmoid", [-87, 87], (x) => 1 / (1 + Math.exp(-x)), true)).toBeLessThan(3e-7);
    expect(worst("sigmoid", [-1, 1], (x) => 1 / (1 + Math.exp(-x)), true)).toBeLessThan(3e-7);
  });

  test("at the ends of the number line the functions have their limits", () => {
    const ends = Float32Array.from([-Infinity, -1e30, 1e30, Infinity, Number.NaN]);
    expect([...evaluate("cdf", ends)]).toEqual([0, 0, 1, 1, Number.NaN]);
    expect([...evaluate("hyperbolic", ends)]).toEqual([-1, -1, 1, 1, Number.NaN]);
    expect([...evaluate("sigmoid", ends)]).toEqual([0, 0, 1, 1, Number.NaN]);
  });
});
