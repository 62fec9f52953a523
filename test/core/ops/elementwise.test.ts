import { describe, expect, test } from "bun:test";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { activation } from "../../../core/ops/activation.ts";
import { gatedActivation } from "../../../core/ops/gated-activation.ts";
import { linear } from "../../../core/ops/linear.ts";
import { dropout } from "../../../core/ops/dropout.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";

describe("activation: gradients equal central differences", () => {
  for (const kind of ["gelu", "gelu_new", "relu", "silu", "tanh"] as const) {
    test(kind, () =>
      gradcheck("activation", {
        inputs: { x: [2, 9] },
        values: {
          x: [
            -7, -4, -3, -2.6, -2, -1.3, -0.7, -0.2, -0.01, 0.01, 0.3, 0.9, 1.4, 2, 2.7, 3.4, 5, 8,
          ],
        },
        build: (pass, inputs) => activation(pass, inputs, { kind }),
      }),
    );
  }
});

test("activation: a name that no backend knows is refused", () => {
  const kind = Object("gelu_fast");
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  const inputs = { x: tensor(backend, [2, 2], 0), weight: tensor(backend, [2, 2], 0) };
  const message = 'no activation is called "gelu_fast": gelu, gelu_new, relu, silu, tanh';
  const ops = [
    () => activation(pass, inputs, { kind }),
    () => gatedActivation(pass, inputs, { kind }),
    () => linear(pass, inputs, { activation: kind }),
  ];
  for (const op of ops) expect(() => pass.scope(op)).toThrow(message);
});

describe("activation: values", () => {
  const backend = createReferenceBackend();
  // mpmath, 30 digits
  const table = {
    gelu: [-0.04550026389635841, -0.1542687693629934, 0, 0.841344746068543, 2.99595030590511],
    gelu_new: [-0.04540230591222498, -0.1542859901748561, 0, 0.8411919906082767, 2.996362607918227],
    relu: [0, 0, 0, 1, 3],
    silu: [-0.2384058440442351, -0.1887703343990727, 0, 0.7310585786300049, 2.8577223804672998],
    tanh: [-0.964027580075817, -0.4621171572600098, 0, 0.761594155955765, 0.9950547536867305],
  } as const;
  for (const kind of ["gelu", "gelu_new", "relu", "silu", "tanh"] as const) {
    test(kind, () => {
      const pass = new ForwardPass(backend, { training: false });
      pass.scope(() => {
        const y = activation(
          pass,
          { x: tensor(backend, [1, 5], 0, [-2, -0.5, 0, 1, 3]) },
          { kind },
        );
        const got = backend.download(y.buffer);
        table[kind].forEach((want, i) => expect(got[i]).toBeCloseTo(want, 15));
      });
    });
  }
});

describe("dropout", () => {
  const mask: Dropout = { probability: 0.4, seed: [1, 2], step: 3, site: 4 };

  test("gradients equal central differences", () =>
    gradcheck("dropout", {
      inputs: { x: [5, 7] },
      build: (pass, inputs) => dropout(pass, inputs, { dropout: mask }),
    }));

  const factors = (change: Partial<Dropout>, rows = 40, cols = 50) => {
    const backend = createReferenceBackend();
    let out: ArrayLike<number> = [];
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const x = tensor(backend, [rows, cols], 0, new Float64Array(rows * cols).fill(1));
      out = backend.download(dropout(pass, { x }, { dropout: { ...mask, ...change } }).buffer);
    });
    return Array.from(out);
  };

  test("an element is dropped, or scaled to preserve the mean", () => {
    const got = factors({});
    const kept = got.filter((y) => y !== 0);
    for (const y of kept) expect(y).toBe(1 / 0.6);
    const share = kept.length / got.length;
    expect(Math.abs(share - 0.6)).toBeLessThan(4 * Math.sqrt((0.6 * 0.4) / got.length));
  });

  test("the mask depends only on seed, step, site and position", () => {
    expect(factors({})).toEqual(factors({}));
    const others = [{ seed: [2, 2] }, { seed: [1, 3] }, { step: 4 }, { site: 5 }] as const;
    for (const change of others) expect(factors(change)).not.toEqual(factors({}));
    // more rows do not change the first ones
    expect(factors({}, 80).slice(0, 2000)).toEqual(factors({}));
  });

  test("a larger probability drops a superset", () => {
    const [less, more] = [factors({ probability: 0.1 }), factors({ probability: 0.4 })];
    expect(less.filter((y) => y === 0).length).toBeGreaterThan(0);
    less.forEach((y, i) => {
      if (y === 0) expect(more[i]).toBe(0);
    });
  });
});
