import type { ForwardPass } from "../forward-pass.ts";
import { dropout } from "../ops/dropout.ts";
import type { Tensor } from "../tensor.ts";

/** dropout(x), or x itself where the pass drops nothing. Always takes one dropout site. */
export function drop(pass: ForwardPass, x: Tensor, probability: number): Tensor {
  const mask = pass.nextDropout(probability);
  return mask ? dropout(pass, { x }, { dropout: mask }) : x;
}
