import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { defineOp } from "../../core/op.ts";
import { Parameter } from "../../core/tensor.ts";
import { gradcheck } from "../helpers/gradcheck.ts";
import { masters } from "../helpers/upload.ts";

/** y = minuend - subtrahend; without a subtrahend y = minuend. */
const difference = defineOp({
  name: "difference",
  inputs: { minuend: "required", subtrahend: "optional" },

  forward(pass, { minuend, subtrahend }) {
    const out = pass.allocate(minuend.buffer.length);
    if (subtrahend) pass.backend.scale(subtrahend.buffer, -1, out);
    else pass.backend.zero(out);
    pass.backend.add(out, minuend.buffer);
    return { shape: minuend.shape, out, saved: {}, keep: [] };
  },

  backward(pass, dy, _saved, { minuend, subtrahend }) {
    if (minuend.needed) minuend.give(dy);
    if (!subtrahend.needed) return;
    const negative = pass.allocate(dy.length);
    pass.backend.scale(dy, -1, negative);
    subtrahend.give(negative);
  },
});

test("each sink belongs to the input of its name, in whatever order a call lists them", () =>
  gradcheck("difference", {
    inputs: { a: [3], b: [3] },
    build: (pass, { a, b }) => difference(pass, { subtrahend: b, minuend: a }, {}),
  }));

test("the sink of an absent input needs no gradient", () =>
  gradcheck("difference", {
    inputs: { minuend: [3] },
    build: (pass, inputs) => difference(pass, inputs, {}),
  }));

test("the tape records the inputs in declared order, and nothing else that a call passes", () => {
  const backend = createReferenceBackend();
  const parameter = (name: string) => {
    const made = new Parameter(name, [1]);
    made.buffer = masters(backend, [1]);
    made.requiresGrad = true;
    return made;
  };
  const [minuend, subtrahend, other] = ["minuend", "subtrahend", "other"].map(parameter);
  if (!minuend || !subtrahend || !other) throw new Error("expected three parameters");
  const pass = new ForwardPass(backend, { training: true });
  let recorded: unknown;
  pass.tape.record = ({ inputs }) => (recorded = inputs);
  pass.scope(() => {
    const call = { other, subtrahend, minuend };
    difference(pass, call, {});
  });
  expect(recorded).toEqual([minuend, subtrahend]);
});
