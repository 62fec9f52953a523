import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { rmsNorm } from "../../../core/ops/rms-norm.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";

const eps = 1e-3;

test("rmsNorm: gradients equal central differences", () =>
  gradcheck("rmsNorm", {
    inputs: { x: [3, 5], weight: [5] },
    build: (pass, inputs) => rmsNorm(pass, inputs, { eps }),
  }));

test("rmsNorm: x feeds the residual too, as in a layer", () =>
  gradcheck("rmsNorm", {
    inputs: { x: [3, 5], weight: [5] },
    build(pass, { x, weight }) {
      const first = rmsNorm(pass, { x, weight }, { eps });
      return rmsNorm(pass, { x: rmsNorm(pass, { x: first, weight }, { eps }), weight }, { eps });
    },
  }));

test("rmsNorm: values by hand", () => {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    const x = tensor(backend, [2, 2], 0, [3, -4, 0, 0]);
    const weight = tensor(backend, [2], 0, [1, 0.5]);
    const y = backend.download(rmsNorm(pass, { x, weight }, { eps: 0.5 }).buffer);
    const root = Math.sqrt(25 / 2 + 0.5);
    expect(Array.from(y)).toEqual([3 / root, -2 / root, 0, 0]);
  });
});

test("rmsNorm: mismatched shapes are named", () => {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  const call = () =>
    pass.scope(() => {
      const [x, weight] = [tensor(backend, [3, 5], 0), tensor(backend, [4], 0)];
      rmsNorm(pass, { x, weight }, { eps });
    });
  expect(call).toThrow("[rmsNorm] weight must be [C] for x of [N, C]: got x [3, 5], weight [4]");
});
