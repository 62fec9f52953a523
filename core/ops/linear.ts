import type { ForwardPass } from "../forward-pass.ts";
import type { Tensor } from "../tensor.ts";
import { type Increment, type LinearMember, linears } from "./linears.ts";

/** The tensors of one layer; shapes as in `LinearMember` and `Increment`. */
interface Inputs extends Pick<LinearMember, "weight" | "bias"> {
  readonly x: Tensor;
  readonly a?: Tensor | undefined;
  readonly e?: Tensor | undefined;
  readonly b?: Tensor | undefined;
}

interface Attrs extends Pick<LinearMember, "activation">, Pick<Increment, "scale" | "dropout"> {}

/**
 * y = f(x W^T + bias + scale * (dropout(x) A^T) diag(E) B^T): one linear layer, adapted where there
 * are A and B. x: [N, in]; y: [N, out]. A group of one of `linears`.
 */
export function linear(
  pass: ForwardPass,
  { x, weight, bias, a, e, b }: Inputs,
  { activation, ...own }: Attrs,
): Tensor {
  const increments = a && b ? [{ a, e, b, ...own }] : [];
  const [y] = linears(pass, x, [{ weight, bias, increments, activation }]);
  return y;
}
