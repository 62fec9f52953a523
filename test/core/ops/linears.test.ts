import { describe, expect, test } from "bun:test";
import type { Backend } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { ActivationKind, Dropout } from "../../../core/kernels/elementwise.ts";
import { addDropout } from "../../../core/ops/add-dropout.ts";
import { linear } from "../../../core/ops/linear.ts";
import { linears } from "../../../core/ops/linears.ts";
import { Parameter, type Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { product } from "../../helpers/ops.ts";
import { tensor } from "../../helpers/tensors.ts";
import { masters } from "../../helpers/upload.ts";
import { counted } from "../../helpers/watched-backend.ts";
import { wave } from "../../helpers/wave.ts";

const dropout: Dropout = { probability: 0.4, seed: [1, 2], step: 3, site: 4 };

/** A fused layer [7, 5] with adapters on columns 0 to 2 and 3 to 6. */
const fusedShapes = {
  x: [4, 5],
  weight: [7, 5],
  bias: [7],
  a0: [2, 5],
  e0: [2, 1],
  b0: [3, 2],
  a1: [3, 5],
  e1: [3, 1],
  b1: [4, 3],
} as const;

function fused(
  pass: ForwardPass,
  t: Record<keyof typeof fusedShapes, Tensor>,
  attrs: { dropout?: Dropout; activation?: ActivationKind } = {},
): Tensor {
  const { weight, bias } = t;
  const increments = [
    { a: t.a0, e: t.e0, b: t.b0, scale: 0.7, start: 0, dropout: attrs.dropout },
    { a: t.a1, e: t.e1, b: t.b1, scale: 1.3, start: 3, dropout: attrs.dropout },
  ];
  const member = { weight, bias, increments, activation: attrs.activation };
  const [y] = linears(pass, t.x, [member]);
  return y;
}

/** Layers [3, 5], [2, 5] and [4, 5] that read the same x; the second has no adapter. */
const groupShapes = {
  x: [4, 5],
  w0: [3, 5],
  bias0: [3],
  a0: [2, 5],
  e0: [2, 1],
  b0: [3, 2],
  w1: [2, 5],
  w2: [4, 5],
  a2: [3, 5],
  b2: [4, 3],
  // to outputs of the same width
  m0: [2, 3],
  m1: [2, 2],
  m2: [2, 4],
} as const;
type Group = Record<keyof typeof groupShapes, Tensor>;

const membersOf = (t: Group) =>
  [
    {
      weight: t.w0,
      bias: t.bias0,
      increments: [{ a: t.a0, e: t.e0, b: t.b0, scale: 0.7, dropout }],
    },
    { weight: t.w1, activation: "tanh" },
    { weight: t.w2, increments: [{ a: t.a2, b: t.b2 }], activation: "gelu" },
  ] as const;

/** The sum of all outputs, each with a gradient of its own. */
function mixed(pass: ForwardPass, t: Group, outs: readonly Tensor[]): Tensor {
  const [y0, y1, y2] = outs.map((x, i) => linear(pass, { x, weight: [t.m0, t.m1, t.m2][i]! }, {}));
  return addDropout(
    pass,
    { x: y0!, residual: addDropout(pass, { x: y1!, residual: y2! }, {}) },
    {},
  );
}

describe("linears: gradients equal central differences", () => {
  test("of a group", () =>
    gradcheck("linears", {
      inputs: groupShapes,
      build: (pass, t) => mixed(pass, t, linears(pass, t.x, membersOf(t))),
    }));

  test("of a group with frozen weights", () =>
    gradcheck("linears", {
      inputs: groupShapes,
      frozen: ["w0", "bias0", "w1", "w2", "m0", "m1", "m2"],
      build: (pass, t) => mixed(pass, t, linears(pass, t.x, membersOf(t))),
    }));

  test("where the loss depends on one member alone", () =>
    gradcheck("linears", {
      inputs: { x: [4, 5], w0: [3, 5], w1: [3, 5] },
      frozen: ["w0"],
      build: (pass, { x, w0, w1 }) => linears(pass, x, [{ weight: w0 }, { weight: w1 }])[1],
    }));

  test.each([
    ["frozen weight", {}],
    ["dropout on the input", { dropout }],
    ["an activation", { activation: "gelu" }],
  ] as const)("of a fused layer's parts: %s", (_, attrs) =>
    gradcheck("linears", {
      inputs: fusedShapes,
      frozen: ["weight", "bias"],
      build: (pass, t) => fused(pass, t, attrs),
    }),
  );

  test("of a fused layer's parts: trained weight and bias", () =>
    gradcheck("linears", { inputs: fusedShapes, build: (pass, t) => fused(pass, t) }));
});

/** Parameters of these shapes, trained where their name is not listed. */
function parametersOf<Name extends string>(
  backend: Backend,
  shapes: Readonly<Record<Name, readonly number[]>>,
  frozen: readonly string[],
): Record<Name, Parameter> {
  const entries = Object.entries<readonly number[]>(shapes).map(([name, shape], i) => {
    const made = new Parameter(name, shape);
    made.buffer = masters(backend, wave(made.length, i));
    made.grad = masters(backend, new Float64Array(made.length));
    made.requiresGrad = !frozen.includes(name);
    return [name, made] as const;
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `fromEntries` forgets the names
  return Object.fromEntries(entries) as Record<Name, Parameter>;
}

describe("linears", () => {
  test("a group gives the bits of single layers, in one call forward and one backward", () => {
    const run = (together: boolean) => {
      const { backend, calls } = counted(createReferenceBackend());
      const t = parametersOf(backend, groupShapes, ["w0", "bias0", "m0", "m1", "m2"]);
      const pass = new ForwardPass(backend, { training: true });
      let loss: number[] = [];
      pass.scope(() => {
        const members = membersOf(t);
        const outs = together
          ? linears(pass, t.x, members)
          : members.map((member) => linears(pass, t.x, [member])[0]);
        const y = mixed(pass, t, outs);
        const out = product(pass, { y }, { cotangent: masters(backend, wave(8, 0.5)) });
        loss = [...backend.download(out.buffer)];
        pass.tape.backward(out, 1);
      });
      const gradients = Object.values(t).map(({ grad }) => [...backend.download(grad!)]);
      return { loss, gradients, calls: [calls("linears"), calls("linearsBackward")] };
    };
    const [group, single] = [run(true), run(false)];
    expect(group.loss).toEqual(single.loss);
    expect(group.gradients).toEqual(single.gradients);
    expect(group.calls).toEqual([4, 4]); // three are of `mixed`
    expect(single.calls).toEqual([6, 6]);
  });

  test("a member that trains nothing has no backward where x needs no gradient", () => {
    const { backend, calls } = counted(createReferenceBackend());
    const t = parametersOf(backend, groupShapes, ["x", "w0", "bias0", "w1", "w2", "a2", "b2"]);
    const pass = new ForwardPass(backend, { training: true });
    pass.scope(() => {
      const outs = linears(pass, t.x, membersOf(t));
      expect(outs.map(({ requiresGrad }) => requiresGrad)).toEqual([true, false, false]);
      pass.tape.backward(
        product(pass, { y: outs[0] }, { cotangent: masters(backend, wave(12, 0.5)) }),
        1,
      );
    });
    expect(calls("activationBackward")).toBe(0);
    expect(calls("addFactorGradient")).toBe(2);
  });

  test("two parts equal one adapter with a block-diagonal B", () => {
    const backend = createReferenceBackend();
    const t = parametersOf(backend, fusedShapes, Object.keys(fusedShapes));
    const at = (name: keyof typeof t) => Array.from(backend.download(t[name].buffer));
    const [b0, b1] = [at("b0"), at("b1")];
    const rows0 = [0, 1, 2].flatMap((r) => [b0[2 * r]!, b0[2 * r + 1]!, 0, 0, 0]);
    const rows1 = [0, 1, 2, 3].flatMap((r) => [0, 0, ...b1.slice(3 * r, 3 * r + 3)]);
    const a = tensor(backend, [5, 5], 0, [...at("a0"), ...at("a1")]);
    const e = tensor(backend, [5, 1], 0, [...at("e0"), ...at("e1").map((x) => (x * 1.3) / 0.7)]);
    const b = tensor(backend, [7, 5], 0, [...rows0, ...rows1]);
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const { x, weight, bias } = t;
      const whole = linear(pass, { x, weight, bias, a, e, b }, { scale: 0.7 });
      const expected = Array.from(backend.download(whole.buffer));
      const got = Array.from(backend.download(fused(pass, t).buffer));
      got.forEach((y, i) => expect(y).toBeCloseTo(expected[i]!, 12));
    });
  });

  test("a part beyond the layer's outputs is refused", () => {
    const backend = createReferenceBackend();
    const of = (shape: readonly [number, number]) => tensor(backend, shape, 1);
    const pass = new ForwardPass(backend, { training: false });
    const increments = [{ a: of([2, 5]), b: of([4, 2]), start: 4 }];
    expect(() =>
      pass.scope(() => void linears(pass, of([4, 5]), [{ weight: of([7, 5]), increments }])),
    ).toThrow("[linear] B must be [cols, r] with 4 + cols <= out: got weight [7, 5], A [2, 5]");
  });

  test.each([
    { what: "an adapter of the whole layer and of a part", starts: [undefined, 2], cols: [7, 3] },
    { what: "parts that share a column", starts: [4, 0], cols: [3, 5] },
  ])("$what are refused together", ({ starts, cols }) => {
    const backend = createReferenceBackend();
    const of = (shape: readonly [number, number]) => tensor(backend, shape, 1);
    const pass = new ForwardPass(backend, { training: false });
    const increments = starts.map((start, i) => ({ a: of([2, 5]), b: of([cols[i]!, 2]), start }));
    expect(() =>
      pass.scope(() => void linears(pass, of([4, 5]), [{ weight: of([7, 5]), increments }])),
    ).toThrow("linear: two increments add to the same output");
  });
});
