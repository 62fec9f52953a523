import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { addLayerNorm } from "../../../core/ops/add-layer-norm.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { fresh } from "../../helpers/ops.ts";
import { tensor } from "../../helpers/tensors.ts";

const eps = 1e-3;
const mask = { probability: 0.3, seed: [5, 6], step: 7, site: 8 } as const;
const shapes = { x: [3, 5], weight: [5], bias: [5] } as const;

describe("addLayerNorm: gradients equal central differences", () => {
  for (const dropout of [undefined, mask]) {
    const on = dropout ? ", dropout on" : "";
    test(`without residual${on}`, () =>
      gradcheck("addLayerNorm", {
        inputs: shapes,
        overwrites: ["x"],
        build: (pass, inputs) => addLayerNorm(pass, inputs, { eps, dropout }),
      }));

    test(`with residual${on}`, () =>
      gradcheck("addLayerNorm", {
        inputs: { ...shapes, residual: [3, 5] },
        overwrites: ["x"],
        build: (pass, inputs) => addLayerNorm(pass, inputs, { eps, dropout }),
      }));

    test(`without bias${on}`, () =>
      gradcheck("addLayerNorm", {
        inputs: { x: [3, 5], weight: [5], residual: [3, 5] },
        overwrites: ["x"],
        build: (pass, inputs) => addLayerNorm(pass, inputs, { eps, dropout }),
      }));

    test(`the residual feeds x too, as in a layer${on}`, () =>
      gradcheck("addLayerNorm", {
        inputs: shapes,
        overwrites: ["x"],
        build(pass, { x, weight, bias }) {
          const first = addLayerNorm(pass, { x, weight, bias }, { eps });
          const second = addLayerNorm(
            pass,
            { x: fresh(pass, { x: first }, {}), residual: first, weight, bias },
            { eps, dropout },
          );
          return addLayerNorm(
            pass,
            { x: fresh(pass, { x: second }, {}), residual: first, weight, bias },
            { eps, dropout },
          );
        },
      }));
  }
});

test("addLayerNorm: a row of equal numbers becomes the bias", () => {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    const x = tensor(backend, [1, 3], 0, [4, 4, 4]);
    const bias = tensor(backend, [3], 0, [0.1, 0.2, 0.3]);
    const y = addLayerNorm(pass, { x, weight: tensor(backend, [3], 1), bias }, { eps });
    expect(Array.from(backend.download(y.buffer))).toEqual([0.1, 0.2, 0.3]);
  });
});

describe("addLayerNorm: mismatched shapes are named", () => {
  const backend = createReferenceBackend();
  const refused = (changed: object) => () => {
    const t = { x: [3, 5], residual: [3, 5], weight: [5], bias: [5], ...changed };
    const of = (shape: readonly number[]) => tensor(backend, shape, 0);
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const vectors = { weight: of(t.weight), bias: of(t.bias) };
      addLayerNorm(pass, { x: of(t.x), residual: of(t.residual), ...vectors }, { eps });
    });
  };
  test("weight against x", () =>
    expect(refused({ weight: [4] })).toThrow(
      "[addLayerNorm] weight and bias must be [C] for x of [N, C]: got x [3, 5], weight [4], bias [5]",
    ));
  test("residual against x", () =>
    expect(refused({ residual: [2, 5] })).toThrow(
      "[addLayerNorm] the residual must have the shape of x: got x [3, 5], residual [2, 5]",
    ));
});
