import { describe, expect, test } from "bun:test";
import { addOrthogonality, orthogonalFactors } from "../../../core/adalora/orthogonality.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { type Adapter, declareAdapter } from "../../../core/nn/adapter.ts";
import { Parameter } from "../../../core/tensor.ts";
import { masters } from "../../helpers/upload.ts";
import { wave } from "../../helpers/wave.ts";

const backend = createReferenceBackend();

function adapter(sizes: { rank: number; inFeatures: number; outFeatures: number }): Adapter {
  const declared = declareAdapter("m", sizes, { rank: sizes.rank, scale: 1, svd: true });
  for (const [i, p] of [declared.a, declared.e, declared.b].entries()) {
    if (!p) continue;
    p.buffer = masters(backend, wave(p.length, i));
    p.grad = masters(backend, wave(p.length, i + 5));
    p.requiresGrad = true;
  }
  return declared;
}

function valueOf(adapters: readonly Adapter[], coefficient = 0): number {
  const value = masters(backend, [0]);
  addOrthogonality(backend, orthogonalFactors(adapters), coefficient, value);
  return backend.download(value)[0] ?? NaN;
}

const identity = [1, 0, 0, 1];

describe("the value", () => {
  const square = { rank: 2, inFeatures: 2, outFeatures: 2 };
  const of = (a: readonly number[], b: readonly number[]) => {
    const one = adapter(square);
    backend.upload(one.a.buffer, a);
    backend.upload(one.b.buffer, b);
    return one;
  };

  test("is 0 where A's rows and B's columns are orthonormal", () => {
    expect(valueOf([of(identity, [0, 1, -1, 0])])).toBe(0);
  });

  test("is the norm itself, not its square, averaged over all A and B", () => {
    const far = of([2, 0, 0, 2], identity); // P P^T - I = 3 I: norm 3 sqrt 2
    expect(valueOf([far])).toBeCloseTo((3 * Math.SQRT2) / 2, 14);
    expect(valueOf([far, of(identity, identity)])).toBeCloseTo((3 * Math.SQRT2) / 4, 14);
  });

  test("takes the rows of A and the columns of B", () => {
    const wide = adapter({ rank: 2, inFeatures: 3, outFeatures: 3 });
    backend.upload(wide.a.buffer, [1, 0, 0, 0, 1, 0]); // [2, 3]: rows orthonormal
    backend.upload(wide.b.buffer, [1, 0, 0, 1, 0, 0]); // [3, 2]: columns orthonormal
    expect(valueOf([wide])).toBe(0);
  });

  test("is added to the existing value", () => {
    const value = masters(backend, [10]);
    addOrthogonality(backend, orthogonalFactors([of([2, 0, 0, 2], identity)]), 1, value);
    expect(backend.download(value)[0]).toBeCloseTo(10 + (3 * Math.SQRT2) / 2, 13);
  });
});

describe("the gradient", () => {
  const adapters = () => [
    adapter({ rank: 2, inFeatures: 4, outFeatures: 3 }),
    adapter({ rank: 3, inFeatures: 2, outFeatures: 5 }), // rank > inFeatures: never orthonormal
  ];

  test("is coefficient * dR / dP by central differences, added to existing gradients", () => {
    const all = adapters();
    const before = all.flatMap(({ a, b }) => [a, b]).map((p) => gradOf(p));
    valueOf(all, 0.3);
    all
      .flatMap(({ a, b }) => [a, b])
      .forEach((p, m) => {
        const start = Float64Array.from(backend.download(p.buffer));
        const got = gradOf(p);
        start.forEach((x, i) => {
          const at = (change: number) => {
            const moved = start.slice();
            moved[i] = x + change;
            backend.upload(p.buffer, moved);
            return valueOnly(all);
          };
          const expected = (0.3 * (at(1e-6) - at(-1e-6))) / 2e-6;
          expect(Math.abs(got[i]! - before[m]![i]! - expected)).toBeLessThan(1e-8);
          backend.upload(p.buffer, start);
        });
      });
  });

  test("leaves E's gradient alone, and is 0 where the norm is 0", () => {
    const one = adapter({ rank: 2, inFeatures: 2, outFeatures: 2 });
    backend.upload(one.a.buffer, identity);
    backend.upload(one.b.buffer, identity);
    const before = [one.a, one.e, one.b].map((p) => p && gradOf(p));
    valueOf([one], 1);
    expect([one.a, one.e, one.b].map((p) => p && gradOf(p))).toEqual(before);
  });

  /** R of the same values, without touching the gradients. */
  function valueOnly(all: readonly Adapter[]): number {
    return valueOf(all.map((m) => ({ ...m, a: untrained(m.a), b: untrained(m.b) })));
  }
});

function gradOf(parameter: Parameter): number[] {
  return parameter.grad ? Array.from(backend.download(parameter.grad)) : [];
}

/** The same values without a gradient buffer. */
function untrained({ name, shape, buffer }: Parameter): Parameter {
  const copy = new Parameter(name, shape);
  copy.buffer = buffer;
  return copy;
}
