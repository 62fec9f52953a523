import { expect, test } from "bun:test";
import { defineOp } from "../../core/op.ts";
import { gradcheck } from "./gradcheck.ts";

/** y = 2 x with a backward that is `factor` times the incoming gradient. */
const doubled = (factor: number) =>
  defineOp({
    name: "doubled",
    inputs: { x: "required" },
    forward(pass, { x }) {
      const out = pass.allocate(x.buffer.length);
      pass.backend.scale(x.buffer, 2, out);
      return { shape: x.shape, out, saved: {}, keep: [] };
    },
    backward(pass, dy, _saved, { x: dx }) {
      const out = pass.allocate(dy.length);
      pass.backend.scale(dy, factor, out);
      dx.give(out);
    },
  });

const check = (factor: number) =>
  gradcheck("doubled", {
    inputs: { x: [3] },
    build: (pass, { x }) => doubled(factor)(pass, { x }, {}),
  });

test("a correct backward passes; of a wrong one the error names input and index", () => {
  check(2);
  expect(() => check(-2)).toThrow(
    "doubled (parameters, trained: x): d/d(x)[0] numeric 1.15885108 analytic -1.15885108",
  );
  expect(() => check(1.999)).toThrow("d/d(x)[0]");
});
