import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { linear } from "../../../core/ops/linear.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";
import { wave } from "../../helpers/wave.ts";

const base = { x: [4, 5], weight: [3, 5] } as const;
const adapted = { scale: 0.7 };
const dropped = {
  scale: 0.7,
  dropout: { probability: 0.4, seed: [1, 2], step: 3, site: 4 },
} as const;
const svd = { ...base, bias: [3], a: [2, 5], e: [2, 1], b: [3, 2] } as const;
const lora = { ...base, bias: [3], a: [2, 5], b: [3, 2] } as const;

describe("linear: gradients equal central differences", () => {
  test("trained weight", () =>
    gradcheck("linear", {
      inputs: base,
      build: (pass, inputs) => linear(pass, inputs, {}),
    }));

  test("trained weight and bias", () =>
    gradcheck("linear", {
      inputs: { ...base, bias: [3] },
      build: (pass, inputs) => linear(pass, inputs, {}),
    }));

  test("frozen weight", () =>
    gradcheck("linear", {
      inputs: { ...base, bias: [3] },
      frozen: ["weight"],
      build: (pass, inputs) => linear(pass, inputs, {}),
    }));

  for (const kind of ["gelu", "relu", "silu"] as const) {
    test(`with an activation, ${kind}`, () =>
      gradcheck("linear", {
        inputs: { ...base, bias: [3] },
        build: (pass, inputs) => linear(pass, inputs, { activation: kind }),
      }));
  }

  for (const [name, attrs] of [
    ["", adapted],
    [", with an activation", { ...adapted, activation: "gelu" }],
    [", dropout on its input", dropped],
  ] as const) {
    test(`SVD adapter, E not zero${name}`, () =>
      gradcheck("linear", {
        inputs: svd,
        frozen: ["weight", "bias"],
        build: (pass, inputs) => linear(pass, inputs, attrs),
      }));

    test(`LoRA adapter${name}`, () =>
      gradcheck("linear", {
        inputs: lora,
        frozen: ["weight", "bias"],
        build: (pass, inputs) => linear(pass, inputs, attrs),
      }));
  }

  test("SVD adapter on a trained base without bias", () =>
    gradcheck("linear", {
      inputs: { ...base, a: [2, 5], e: [2, 1], b: [3, 2] },
      build: (pass, inputs) => linear(pass, inputs, adapted),
    }));

  test("SVD adapter, E = 0 as at the start", () =>
    gradcheck("linear", {
      inputs: svd,
      values: { e: [0, 0] },
      frozen: ["weight", "bias"],
      build: (pass, inputs) => linear(pass, inputs, adapted),
    }));

  test("one row, one column, rank 1", () =>
    gradcheck("linear", {
      inputs: { x: [1, 1], weight: [1, 1], bias: [1], a: [1, 1], e: [1, 1], b: [1, 1] },
      build: (pass, inputs) => linear(pass, inputs, adapted),
    }));
});

describe("linear: values", () => {
  const backend = createReferenceBackend();
  const inputs = (shapes: Readonly<Record<string, readonly number[]>>) =>
    Object.entries(shapes).map(([, shape], i) => tensor(backend, shape, i));
  const valueOf = (build: (pass: ForwardPass) => Tensor) => {
    let value: number[] = [];
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      value = Array.from(backend.download(build(pass).buffer));
    });
    return value;
  };

  test("the adapted layer equals the layer of the merged weight W + s B diag(E) A", () => {
    const [x, weight, bias, a, e, b] = inputs(svd);
    if (!x || !weight || !bias || !a || !e || !b) throw new Error("expected six inputs");
    const merged = wave(15, 1).slice();
    const values = (t: Tensor) => backend.download(t.buffer);
    for (let o = 0; o < 3; o++)
      for (let i = 0; i < 5; i++)
        for (let r = 0; r < 2; r++)
          merged[o * 5 + i]! += 0.7 * values(b)[o * 2 + r]! * values(e)[r]! * values(a)[r * 5 + i]!;
    const w = tensor(backend, [3, 5], 0, merged);
    const want = valueOf((pass) => linear(pass, { x, weight: w, bias }, {}));
    const got = valueOf((pass) => linear(pass, { x, weight, bias, a, e, b }, adapted));
    got.forEach((y, i) => expect(y).toBeCloseTo(want[i] ?? NaN, 12));
  });

  test("E = 0 gives the bits of the base layer", () => {
    const [x, weight, bias, a, , b] = inputs(svd);
    if (!x || !weight || !bias) throw new Error("expected six inputs");
    const zero = tensor(backend, [2, 1], 0, [0, 0]);
    const want = valueOf((pass) => linear(pass, { x, weight, bias }, {}));
    expect(valueOf((pass) => linear(pass, { x, weight, bias, a, e: zero, b }, adapted))).toEqual(
      want,
    );
  });
});

describe("linear: mismatched shapes are named", () => {
  const backend = createReferenceBackend();
  const refused = (shapes: Partial<Record<keyof typeof svd, readonly number[]>>) => () => {
    const t = (name: keyof typeof svd) => tensor(backend, shapes[name] ?? svd[name], 0);
    const adapter = { a: t("a"), e: t("e"), b: t("b") };
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      linear(pass, { x: t("x"), weight: t("weight"), bias: t("bias"), ...adapter }, adapted);
    });
  };

  test("x against weight", () =>
    expect(refused({ x: [4, 6] })).toThrow(
      "[linear] x must be [N, in] for a weight of [out, in]: got x [4, 6], weight [3, 5]",
    ));
  test("bias against weight", () =>
    expect(refused({ bias: [4] })).toThrow(
      "[linear] bias must be [out]: got weight [3, 5], bias [4]",
    ));
  test("A against x", () =>
    expect(refused({ a: [2, 3] })).toThrow("[linear] A must be [r, in]: got x [4, 5], A [2, 3]"));
  test("E against A", () =>
    expect(refused({ e: [3, 1] })).toThrow("[linear] E must be [r, 1]: got A [2, 5], E [3, 1]"));
  test("B against weight and A", () =>
    expect(refused({ b: [3, 4] })).toThrow(
      "[linear] B must be [out, r]: got weight [3, 5], A [2, 5], B [3, 4]",
    ));
});
