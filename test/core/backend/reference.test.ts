import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { erf } from "../../../core/backend/reference/erf.ts";
import { integers, masters } from "../../helpers/upload.ts";
import { wave } from "../../helpers/wave.ts";

const backend = createReferenceBackend();
const values = (buffer: ReturnType<typeof masters>) => Array.from(backend.download(buffer));

describe("erf, against 30 digits of mpmath", () => {
  const table = [
    [1e-300, 1.128379167095513e-300],
    [1e-10, 1.128379167095513e-10],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.4999, 0.9995928300996655], // the series ends here
    [2.5, 0.999593047982555], // and the continued fraction begins
    [2.5001, 0.9995932657565293],
    [3, 0.9999779095030014],
    [4, 0.9999999845827421],
    [5, 0.9999999999984625],
    [5.9, 0.9999999999999999],
    [7, 1],
  ] as const;
  for (const [x, want] of table)
    test(`erf(${x})`, () => {
      expect(Math.abs(erf(x) - want)).toBeLessThanOrEqual(2e-15 * want);
      expect(erf(-x)).toBe(-erf(x));
    });
  test("erf(0) is 0, erf of the infinities is 1 and -1", () => {
    expect([erf(0), erf(Infinity), erf(-Infinity)]).toEqual([0, 1, -1]);
  });
});

describe("memory", () => {
  test("an allocation counts once, until it is freed", () => {
    const fresh = createReferenceBackend();
    const a = fresh.alloc("f64", 10);
    const b = fresh.alloc("i32", 3);
    expect(fresh.memory()).toEqual({ live: 92, peak: 92 });
    fresh.free(a);
    fresh.free(a);
    expect(fresh.memory()).toEqual({ live: 12, peak: 92 });
    fresh.free(fresh.view(b, 0, 2)); // a view is not freed by itself
    expect(fresh.memory().live).toBe(12);
  });

  test("an adopted weight is not counted", () => {
    const fresh = createReferenceBackend();
    const bytes = new Uint8Array(Float64Array.of(1, 2).buffer);
    fresh.adopt({ dtype: "F64", shape: [2], bytes }, "f64");
    expect(fresh.memory().live).toBe(0);
  });

  test("a new buffer holds NaN, which exposes a kernel that adds where it should set", () => {
    expect(values(backend.alloc("f64", 2))).toEqual([NaN, NaN]);
  });

  test("a view shares its storage; a download does not", () => {
    const buffer = masters(backend, [1, 2, 3, 4]);
    const view = backend.view(buffer, 1, 2);
    backend.scale(view, 10, view);
    expect(values(buffer)).toEqual([1, 20, 30, 4]);
    backend.download(buffer).fill(0);
    expect(values(buffer)).toEqual([1, 20, 30, 4]);
  });
});

describe("adopt widens every dtype of checkpoints", () => {
  const adopt = (dtype: string, bytes: Uint8Array, length: number) =>
    values(backend.adopt({ dtype, shape: [length], bytes }, "f64"));
  const half = [0x3c00, 0xc000, 0x0001, 0x8000, 0x7bff, 0x7c00, 0x7e00];

  test("F64, F32 at an odd offset in a file, BF16", () => {
    expect(adopt("F64", new Uint8Array(Float64Array.of(0.1, -2).buffer), 2)).toEqual([0.1, -2]);
    const shifted = new Uint8Array(9);
    shifted.set(new Uint8Array(Float32Array.of(0.1, -2).buffer), 1);
    expect(adopt("F32", shifted.subarray(1), 2)).toEqual([Math.fround(0.1), -2]);
    const brain = new Uint8Array(Uint16Array.of(0x3f80, 0xc040, 0x0001).buffer);
    expect(adopt("BF16", brain, 3)).toEqual([1, -3, 2 ** -133]);
  });

  test("F16 with its smallest and largest values, infinity and NaN", () => {
    expect(adopt("F16", new Uint8Array(Uint16Array.from(half).buffer), 7)).toEqual([
      1,
      -2,
      2 ** -24,
      -0,
      65504,
      Infinity,
      NaN,
    ]);
  });

  test("an unsupported dtype is named", () => {
    expect(() => adopt("I64", new Uint8Array(8), 1)).toThrow(
      "a tensor of dtype I64 cannot become a weight",
    );
  });
});

describe("gemm", () => {
  const [m, n, k] = [2, 3, 4];
  for (const transA of [false, true])
    for (const transB of [false, true])
      for (const beta of [0, 1] as const)
        test(`${transA ? "T" : "N"}${transB ? "T" : "N"} beta ${beta}, rows with a stride`, () => {
          const [lda, ldb, ldc] = [(transA ? m : k) + 1, (transB ? k : n) + 2, n + 1];
          const a = wave(lda * (transA ? k : m), 0);
          const b = wave(ldb * (transB ? n : k), 1);
          const before = wave(ldc * m, 2);
          const c = masters(backend, before);
          backend.gemm(masters(backend, a), masters(backend, b), c, {
            m,
            n,
            k,
            transA,
            transB,
            beta,
            lda,
            ldb,
            ldc,
          });
          const want = before.slice();
          for (let i = 0; i < m; i++)
            for (let j = 0; j < n; j++) {
              let sum = beta * before[i * ldc + j]!;
              for (let p = 0; p < k; p++)
                sum +=
                  (transA ? a[p * lda + i]! : a[i * lda + p]!) *
                  (transB ? b[j * ldb + p]! : b[p * ldb + j]!);
              want[i * ldc + j] = sum;
            }
          values(c).forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 13));
        });
});

describe("keepTop", () => {
  const keep = (scores: readonly number[], budget: number, costs?: readonly number[]) => {
    const kept = masters(
      backend,
      scores.map(() => NaN),
    );
    const threshold = masters(backend, [0]);
    const price = costs && masters(backend, costs);
    backend.keepTop(masters(backend, scores), budget, kept, threshold, price);
    return { kept: values(kept), threshold: values(threshold)[0] };
  };
  const scores = [0.3, 0.1, 0.5, 0.2];

  test("the threshold is the k-th smallest score, which is pruned too", () =>
    expect(keep(scores, 2)).toEqual({ kept: [1, 0, 1, 0], threshold: 0.2 }));
  test("all ties with the threshold are pruned, even beyond the budget", () =>
    expect(keep([0.2, 0.1, 0.5, 0.2], 2)).toEqual({ kept: [0, 0, 1, 0], threshold: 0.2 }));
  test("a budget of all prunes nothing and sets no threshold", () =>
    expect(keep(scores, 4)).toEqual({ kept: [1, 1, 1, 1], threshold: NaN }));
  test("a budget above all prunes nothing", () =>
    expect(keep(scores, 9)).toEqual({ kept: [1, 1, 1, 1], threshold: NaN }));
  test("a budget of none prunes everything", () =>
    expect(keep(scores, 0)).toEqual({ kept: [0, 0, 0, 0], threshold: 0.5 }));
  test("scores are sorted numerically, not alphabetically", () =>
    expect(keep([10, 9, 1e-7, 100], 2)).toEqual({ kept: [1, 0, 0, 1], threshold: 9 }));

  const costs = [5, 2, 4, 3];
  test.each([
    [14, [1, 1, 1, 1], NaN],
    [13, [1, 0, 1, 1], 0.1],
    [12, [1, 0, 1, 1], 0.1],
    [11, [1, 0, 1, 0], 0.2],
    [9, [1, 0, 1, 0], 0.2],
    [8, [0, 0, 1, 0], 0.3],
    [3, [0, 0, 0, 0], 0.5],
  ])("the highest scores whose costs fit into %p are kept: %p", (budget, kept, threshold) =>
    expect(keep(scores, budget, costs)).toEqual({ kept, threshold }),
  );
  test("ties of which not all fit are pruned together", () =>
    expect(keep([0.2, 0.1, 0.5, 0.2], 11, costs)).toEqual({ kept: [0, 0, 1, 0], threshold: 0.2 }));
});

test("a triplet's score is s(E) + mean of s over A's row + mean of s over B's column, s = sensitivity * uncertainty", () => {
  const averages = (sensitivity: number[], uncertainty: number[]) => ({
    sensitivity: masters(backend, sensitivity),
    uncertainty: masters(backend, uncertainty),
  });
  const scores = masters(backend, [NaN, NaN]);
  const a = averages([1, 2, 3, 4, 5, 6, 7, 8], [1, 0, 1, 0, 1, 1, 0, 0]); // [2, 4]
  const e = averages([10, 20], [0.5, 2]);
  const b = averages([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]); // [3, 2]
  const shape = { rank: 2, inFeatures: 4, outFeatures: 3 };
  const score = (uncertainty: boolean, withE = true) => {
    backend.tripletScores([{ a, e: withE ? e : undefined, b, scores, ...shape }], uncertainty);
    return values(scores);
  };
  expect(score(true)).toEqual([5 + 4 / 4 + 35 / 3, 40 + 11 / 4 + 56 / 3]);
  expect(score(false)).toEqual([10 + 10 / 4 + 9 / 3, 20 + 26 / 4 + 12 / 3]);
  expect(score(false, false)).toEqual([10 / 4 + 9 / 3, 26 / 4 + 12 / 3]);
});

test("rows scattered to one row add up in order", () => {
  const table = masters(backend, [1, 2, 3, 4]);
  const ids = integers(backend, [1, 1, 0]);
  backend.scatterAddRows(masters(backend, [10, 20, 30, 40, 50, 60]), ids, table, 3, 2);
  expect(values(table)).toEqual([51, 62, 43, 64]);
});
