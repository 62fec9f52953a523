import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { addIncrement } from "../../../core/ops/add-increment.ts";
import { linear } from "../../../core/ops/linear.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";

const dropout = { probability: 0.4, seed: [1, 2], step: 3, site: 4 } as const;
/** A fused layer [7, 5] with adapters on columns 0 to 2 and 3 to 6. */
const shapes = {
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
type Inputs = Record<keyof typeof shapes, Tensor>;

function fused(pass: ForwardPass, t: Inputs, attrs: object): Tensor {
  const y = linear(pass, { x: t.x, weight: t.weight, bias: t.bias }, {});
  const first = { y, x: t.x, a: t.a0, e: t.e0, b: t.b0 };
  const z = addIncrement(pass, first, { start: 0, scale: 0.7, ...attrs });
  const second = { y: z, x: t.x, a: t.a1, e: t.e1, b: t.b1 };
  return addIncrement(pass, second, { start: 3, scale: 1.3, ...attrs });
}

describe("addIncrement: gradients equal central differences", () => {
  test.each([
    ["frozen weight", {}],
    ["dropout on the input", { dropout }],
  ] as const)("%s", (_, attrs) =>
    gradcheck("addIncrement", {
      inputs: shapes,
      frozen: ["weight", "bias"],
      build: (pass, inputs) => fused(pass, inputs, attrs),
    }),
  );

  test("trained weight and bias", () =>
    gradcheck("addIncrement", {
      inputs: shapes,
      build: (pass, inputs) => fused(pass, inputs, {}),
    }));
});

describe("addIncrement", () => {
  const backend = createReferenceBackend();

  test("two parts equal one adapter with a block-diagonal B", () => {
    const own = (name: keyof Inputs, phase: number) => tensor(backend, shapes[name], phase);
    const t: Inputs = {
      x: own("x", 0),
      weight: own("weight", 1),
      bias: own("bias", 2),
      a0: own("a0", 3),
      e0: own("e0", 4),
      b0: own("b0", 5),
      a1: own("a1", 6),
      e1: own("e1", 7),
      b1: own("b1", 8),
    };
    const at = (name: keyof Inputs) => Array.from(backend.download(t[name].buffer));
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
      const parts = fused(pass, t, {});
      const expected = Array.from(backend.download(whole.buffer));
      const got = Array.from(backend.download(parts.buffer));
      got.forEach((y, i) => expect(y).toBeCloseTo(expected[i]!, 12));
    });
  });

  test("a part beyond the columns of y is refused", () => {
    const of = (shape: readonly [number, number]) => tensor(backend, shape, 1);
    const pass = new ForwardPass(backend, { training: false });
    const inputs = { y: of([4, 7]), x: of([4, 5]), a: of([2, 5]), b: of([4, 2]) };
    expect(() =>
      pass.scope(() => void addIncrement(pass, { ...inputs, e: undefined }, { start: 4 })),
    ).toThrow("B [cols, r] with at most out - 4 rows");
  });
});
