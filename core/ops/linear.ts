import type { ActivationKind } from "../kernels/elementwise.ts";
import { errors } from "../errors.ts";
import { type InputsOf, defineOp } from "../op.ts";
import { checkActivation } from "./activation.ts";
import {
  checkFactors,
  incrementOf,
  type LowRankAttrs,
  lowRankBackward,
  projectDown,
} from "./low-rank-path.ts";

const INPUTS = {
  x: "required",
  weight: "required",
  bias: "optional",
  a: "optional",
  e: "optional",
  b: "optional",
} as const;

interface Attrs extends LowRankAttrs {
  /** f; without it y is z. */
  readonly activation?: ActivationKind | undefined;
}

/**
 * y = f(z), z = x W^T + bias + scale * (dropout(x) A^T) diag(E) B^T: the adapted linear layer
 * (paper eq. 3; W frozen or trained), with an optional activation f in the same pass over memory.
 * x: [N, in]; W: [out, in]; bias: [out]; A: [r, in]; E: [r, 1] (absent for LoRA); B: [out, r];
 * y: [N, out].
 *
 * The low-rank path is never merged into W: bf16 would round the increment away.
 * Saves x and h = dropout(x) A^T [N, r]; also z if there is an f.
 */
export const linear = defineOp({
  name: "linear",
  inputs: INPUTS,

  forward(pass, inputs, attrs: Attrs, recording) {
    const { x, weight, bias, a, e, b } = inputs;
    const [rows, cols] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
    const outputs = weight.shape[0] ?? 0;
    checkShapes(inputs);
    if (attrs.activation) checkActivation(attrs.activation);
    const { backend } = pass;
    const z = pass.allocate(rows * outputs);
    backend.gemm(x.buffer, weight.buffer, z, { m: rows, n: outputs, k: cols, transB: true });
    const h = a && b ? projectDown(pass, x, a, attrs) : undefined;
    const { activation: kind } = attrs;
    const out = kind && recording ? pass.allocate(rows * outputs) : z;
    if (h && a && b) {
      const increment = { ...incrementOf(h, { a, e }, attrs), factor: b.buffer };
      const activated = kind && { kind, buffer: out };
      backend.addLowRank(z, increment, bias?.buffer, { rows, cols: outputs }, activated);
    } else {
      if (bias) backend.addBias(z, bias.buffer, rows, outputs);
      if (kind) backend.activate(kind, z, out);
    }
    const readsX = recording && (h !== undefined || weight.requiresGrad);
    const keep = readsX ? [x.buffer, ...(h ? [h] : [])] : [];
    if (out !== z) keep.push(z);
    return { shape: [rows, outputs], out, saved: { x, weight, a, e, b, h, z }, keep };
  },

  backward(pass, dout, { x, weight, a, e, b, h, z }, sinks, attrs) {
    const { x: dx, weight: dweight, bias: dbias, a: da, e: de, b: db } = sinks;
    const { backend } = pass;
    const [rows, inputs] = [x.shape[0]!, x.shape[1]!];
    const outputs = weight.shape[0]!;
    const { activation: kind } = attrs;
    const dy = kind ? pass.tape.inPlaceOf(dout) : dout;
    if (kind) backend.activationBackward(kind, z, dout, dy);
    if (dbias.needed) backend.addColumnSums(dy, dbias.accumulateZeroed(), rows, outputs);
    if (dweight.needed) {
      const { buffer, beta } = dweight.accumulate();
      const shape = { m: outputs, n: inputs, k: rows, transA: true, beta };
      backend.gemm(dy, x.buffer, buffer, shape);
    }
    const target = dx.needed ? dx.accumulate() : undefined;
    if (target) {
      const shape = { m: rows, n: inputs, k: outputs, beta: target.beta };
      backend.gemm(dy, weight.buffer, target.buffer, shape);
    }
    if (!h || !a || !b) return;
    const saved = { x, h, a, e, b };
    const factorSinks = { a: da, e: de, b: db };
    lowRankBackward(pass, { dy, stride: outputs, dx: target?.buffer }, saved, factorSinks, attrs);
  },
});

function checkShapes({ x, weight, bias, a, e, b }: InputsOf<typeof INPUTS>): void {
  const [outputs, inputs] = weight.shape;
  if (x.shape.length !== 2 || weight.shape.length !== 2 || x.shape[1] !== inputs) {
    throw errors.shape("linear", "x must be [N, in] for a weight of [out, in]", { x, weight });
  }
  if (bias && bias.shape[0] !== outputs)
    throw errors.shape("linear", "bias must be [out]", { weight, bias });
  if (!a || !b) return;
  checkFactors("linear", x, { a, e });
  if (b.shape[0] !== outputs || b.shape[1] !== a.shape[0])
    throw errors.shape("linear", "B must be [out, r]", { weight, A: a, B: b });
}
