import type { Backend } from "../../core/backend.ts";
import { type Tensor, elementsOf } from "../../core/tensor.ts";
import { masters } from "./upload.ts";
import { wave } from "./wave.ts";

/** A tensor without gradient: a wave, or the given values. */
export function tensor(
  backend: Backend,
  shape: readonly number[],
  phase: number,
  values: ArrayLike<number> = wave(elementsOf(shape), phase),
): Tensor {
  return { shape, buffer: masters(backend, values), requiresGrad: false };
}
