import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { addDropout } from "../../../core/ops/add-dropout.ts";
import { dropout as drop } from "../../../core/ops/dropout.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";

const mask = { probability: 0.3, seed: [5, 6], step: 7, site: 8 } as const;

describe("addDropout: gradients equal central differences", () => {
  for (const dropout of [undefined, mask]) {
    const on = dropout ? ", dropout on" : "";
    test(`x and residual${on}`, () =>
      gradcheck("addDropout", {
        inputs: { x: [3, 5], residual: [3, 5] },
        build: (pass, inputs) => addDropout(pass, inputs, { dropout }),
      }));

    test(`the residual feeds x too, as in a layer${on}`, () =>
      gradcheck("addDropout", {
        inputs: { x: [3, 5], residual: [3, 5] },
        build(pass, { x, residual }) {
          const sum = addDropout(pass, { x, residual }, { dropout });
          return addDropout(pass, { x: sum, residual: sum }, { dropout });
        },
      }));
  }
});

test("addDropout: y = residual + dropout(x), with dropout's mask; x and residual are unchanged", () => {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    const [x, residual] = [tensor(backend, [4, 7], 1), tensor(backend, [4, 7], 2)];
    const before = [x, residual].map(({ buffer }) => backend.download(buffer));
    const y = backend.download(addDropout(pass, { x, residual }, { dropout: mask }).buffer);
    const dropped = backend.download(drop(pass, { x }, { dropout: mask }).buffer);
    expect(Array.from(y)).toEqual(Array.from(before[1]!, (r, i) => r + dropped[i]!));
    expect(Array.from(dropped)).toContain(0);
    expect([x, residual].map(({ buffer }) => backend.download(buffer))).toEqual(before);
  });
});

test("addDropout: mismatched shapes are named", () => {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  const call = () =>
    pass.scope(() => {
      const [x, residual] = [tensor(backend, [3, 5], 0), tensor(backend, [2, 5], 0)];
      addDropout(pass, { x, residual }, {});
    });
  expect(call).toThrow(
    "[addDropout] the residual must have the shape of x, [N, C]: got x [3, 5], residual [2, 5]",
  );
});
