import type { Buffer } from "./backend.ts";
import type { Sink } from "./autograd.ts";
import type { ForwardPass } from "./forward-pass.ts";
import type { Tensor } from "./tensor.ts";

type Inputs = readonly (Tensor | undefined)[];
type SinksOf<In extends Inputs> = { readonly [K in keyof In]: Sink };

/** A differentiable operation: the whole contract between autograd and the maths. Shapes are checked here, not in backends. */
export interface OpDef<In extends Inputs, Saved extends object, Attrs extends object> {
  readonly name: string;
  /**
   * Computes the output. `keep` lists the buffers that backward reads, inputs and output included; everything else is freed
   * with its scope. `recording` says whether there will be a backward.
   */
  forward(
    pass: ForwardPass,
    inputs: In,
    attrs: Attrs,
    recording: boolean,
  ): { shape: readonly number[]; out: Buffer; saved: Saved; keep: readonly Buffer[] };
  /** Gives one gradient to each needed sink, in input order. */
  backward(pass: ForwardPass, dout: Buffer, saved: Saved, sinks: SinksOf<In>, attrs: Attrs): void;
}

/** The only place that makes graph nodes. */
export function defineOp<In extends Inputs, Saved extends object, Attrs extends object>(
  def: OpDef<In, Saved, Attrs>,
) {
  return (pass: ForwardPass, inputs: In, attrs: Attrs): Tensor => {
    const recording = pass.tape.recording && inputs.some((input) => input?.requiresGrad);
    const { shape, out, saved, keep } = def.forward(pass, inputs, attrs, recording);
    const tensor: Tensor = { shape, buffer: out, requiresGrad: recording };
    if (recording) {
      pass.tape.record({
        op: def.name,
        inputs,
        out: tensor,
        keep,
        // The tape makes one sink per input, in order; a mapped tuple type cannot say so of a plain array.
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion
        backward: (dout, sinks) => def.backward(pass, dout, saved, sinks as SinksOf<In>, attrs),
      });
    }
    return tensor;
  };
}
