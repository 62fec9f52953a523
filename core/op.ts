import type { Sink } from "./autograd.ts";
import type { Buffer } from "./backend.ts";
import { invariant } from "./errors.ts";
import type { ForwardPass } from "./forward-pass.ts";
import type { Tensor } from "./tensor.ts";

/** The inputs that an op declares, by name. */
type InputSpec = Readonly<Record<string, "required" | "optional">>;

type RequiredNames<Spec extends InputSpec> = {
  [Name in keyof Spec]: Spec[Name] extends "required" ? Name : never;
}[keyof Spec];

/** The tensors that a call of an op passes: every required input, and any of the optional ones. */
export type InputsOf<Spec extends InputSpec> = {
  readonly [Name in keyof Spec]?: Tensor | undefined;
} & { readonly [Name in RequiredNames<Spec>]: Tensor };

/** One sink per declared input; that of an absent input needs no gradient. */
type SinksOf<Spec extends InputSpec> = { readonly [Name in keyof Spec]: Sink };

/**
 * A differentiable operation: the whole contract between autograd and the maths. Shapes are checked
 * here, not in backends.
 */
export interface OpDefinition<Spec extends InputSpec, Saved extends object, Attrs extends object> {
  readonly name: string;
  /** In the order in which the tape records them. */
  readonly inputs: Spec;
  /**
   * Computes the output. `keep` lists the buffers that backward reads, inputs and output included;
   * everything else is freed with its scope. `recording`: a backward pass will follow.
   */
  forward(
    pass: ForwardPass,
    inputs: InputsOf<Spec>,
    attrs: Attrs,
    recording: boolean,
  ): {
    shape: readonly number[];
    out: Buffer;
    saved: Saved;
    keep: readonly (Buffer | undefined)[];
  };
  /** Gives exactly one gradient to each sink that needs one. */
  backward(pass: ForwardPass, dout: Buffer, saved: Saved, sinks: SinksOf<Spec>, attrs: Attrs): void;
}

/**
 * Turns a definition into the function that models call. Only such functions record nodes, and
 * `linears`, which has an output per layer.
 */
export function defineOp<const Spec extends InputSpec, Saved extends object, Attrs extends object>(
  op: OpDefinition<Spec, Saved, Attrs>,
) {
  const names: (keyof Spec & string)[] = Object.keys(op.inputs);
  return (pass: ForwardPass, inputs: InputsOf<Spec>, attrs: Attrs): Tensor => {
    const ordered: (Tensor | undefined)[] = [];
    let needsGradient = false;
    for (const name of names) {
      const input = inputs[name];
      ordered.push(input);
      if (input?.requiresGrad) needsGradient = true;
    }
    const recording = pass.tape.recording && needsGradient;
    const { shape, out, saved, keep } = op.forward(pass, inputs, attrs, recording);
    const tensor: Tensor = { shape, buffer: out, requiresGrad: recording };
    if (recording) {
      pass.tape.record({
        op: op.name,
        inputs: ordered,
        outs: [tensor],
        keep,
        backward([dout], sinks) {
          invariant(dout, "the tape runs a node only with a gradient");
          const byName: Record<string, Sink | undefined> = {};
          for (let i = 0; i < names.length; i++) byName[names[i]!] = sinks[i];
          // The tape makes one sink per recorded input; the loop forgets the names' types.
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion
          op.backward(pass, dout, saved, byName as SinksOf<Spec>, attrs);
        },
      });
    }
    return tensor;
  };
}
