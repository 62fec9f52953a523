import type { Buffer } from "../backend.ts";
import { errors } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { ActivationKind } from "../kernels/elementwise.ts";
import { defineOp } from "../op.ts";
import { checkActivation } from "./activation.ts";

/**
 * y = f(x) * gate, element-wise, as the feed-forward block of ModernBERT (GeGLU) and LLaMA (SwiGLU)
 * has it. With `gate`, x and gate are [N, F] each; without, x is [N, 2F] and its second half is the
 * gate. y: [N, F].
 *
 * Saves x and gate.
 */
export const gatedActivation = defineOp({
  name: "gatedActivation",
  inputs: { x: "required", gate: "optional" },

  forward(pass, { x, gate }, { kind }: { readonly kind: ActivationKind }, recording) {
    checkActivation(kind);
    const [rows, stride] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
    if (gate && (gate.shape[0] !== rows || gate.shape[1] !== stride))
      throw errors.shape("gatedActivation", "the gate must have the shape of x", { x, gate });
    if (x.shape.length !== 2 || (!gate && stride % 2 !== 0))
      throw errors.shape("gatedActivation", "x must be [N, 2F] without a gate", { x });
    const shape = { rows, cols: gate ? stride : stride / 2, stride };
    const out = pass.allocate(rows * shape.cols);
    const inputs = operands(pass, x.buffer, gate?.buffer, shape.cols);
    pass.backend.gatedActivation(kind, inputs, out, shape);
    const keep = recording ? [x.buffer, ...(gate ? [gate.buffer] : [])] : [];
    return { shape: [rows, shape.cols], out, saved: { x, gate, inputs, shape }, keep };
  },

  backward(pass, dy, { x, gate, inputs, shape }, { x: dx, gate: dgate }, { kind }) {
    const out = pass.allocate(x.buffer.length);
    const ofGate = gate && pass.allocate(gate.buffer.length);
    const grads = operands(pass, out, ofGate, shape.cols);
    pass.backend.gatedActivationBackward(kind, dy, inputs, grads, shape);
    if (dx.needed) dx.give(out);
    if (ofGate && dgate.needed) dgate.give(ofGate);
  },
});

/** x and the gate, which is the second half of x's rows where it has no buffer of its own. */
function operands({ backend }: ForwardPass, x: Buffer, gate: Buffer | undefined, cols: number) {
  if (gate) return { x, gate };
  const start = Math.min(cols, x.length);
  return { x, gate: backend.view(x, start, x.length - start) };
}
