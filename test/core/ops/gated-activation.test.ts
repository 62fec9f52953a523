import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { activation } from "../../../core/ops/activation.ts";
import { gatedActivation } from "../../../core/ops/gated-activation.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";

describe("gatedActivation: gradients equal central differences", () => {
  for (const kind of ["gelu", "silu"] as const) {
    test(`${kind}, two tensors`, () =>
      gradcheck("gatedActivation", {
        inputs: { x: [3, 5], gate: [3, 5] },
        build: (pass, inputs) => gatedActivation(pass, inputs, { kind }),
      }));

    test(`${kind}, halves of one`, () =>
      gradcheck("gatedActivation", {
        inputs: { x: [3, 10] },
        build: (pass, inputs) => gatedActivation(pass, inputs, { kind }),
      }));

    test(`${kind}, one tensor as both`, () =>
      gradcheck("gatedActivation", {
        inputs: { x: [3, 5] },
        build: (pass, { x }) => gatedActivation(pass, { x, gate: x }, { kind }),
      }));
  }
});

test("gatedActivation: the first half is activated, the second multiplies it", () => {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    const x = tensor(backend, [2, 4], 0, [1, -2, 10, 20, 3, 0.5, 30, 40]);
    const y = gatedActivation(pass, { x }, { kind: "gelu" });
    const first = tensor(backend, [2, 2], 0, [1, -2, 3, 0.5]);
    const active = backend.download(activation(pass, { x: first }, { kind: "gelu" }).buffer);
    const expected = [10, 20, 30, 40].map((gate, i) => active[i]! * gate);
    expect(y.shape).toEqual([2, 2]);
    expect(Array.from(backend.download(y.buffer))).toEqual(expected);
    const halves = { x: first, gate: tensor(backend, [2, 2], 0, [10, 20, 30, 40]) };
    const same = gatedActivation(pass, halves, { kind: "gelu" });
    expect(Array.from(backend.download(same.buffer))).toEqual(expected);
  });
});

describe("gatedActivation: mismatched shapes are named", () => {
  const backend = createReferenceBackend();
  const refused = (x: readonly number[], gate?: readonly number[]) => () => {
    const pass = new ForwardPass(backend, { training: false });
    const of = (shape: readonly number[]) => tensor(backend, shape, 0);
    pass.scope(() => {
      gatedActivation(pass, { x: of(x), ...(gate && { gate: of(gate) }) }, { kind: "silu" });
    });
  };
  test("an odd width without a gate", () =>
    expect(refused([2, 5])).toThrow(
      "[gatedActivation] x must be [N, 2F] without a gate: got x [2, 5]",
    ));
  test("a gate of another shape", () =>
    expect(refused([2, 4], [2, 3])).toThrow(
      "[gatedActivation] the gate must have the shape of x: got x [2, 4], gate [2, 3]",
    ));
});
