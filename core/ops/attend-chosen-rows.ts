import type { Buffer } from "../backend.ts";
import type { ChosenRowsShape } from "../kernels/attention.ts";
import { errors } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Tensor } from "../tensor.ts";

/** Keys and values, [any, H * D] each; `index` i32 [N, count] selects the rows of each query. */
export interface ChosenRows {
  readonly k: Buffer;
  readonly v: Buffer;
  readonly index: Buffer;
}

/**
 * out = softmax(q k^T / scale) v over the rows of k and v that each query selects; see
 * `ChosenRowsShape`. q, out: [N, H * D]. For decoding: it has no backward.
 */
export function attendChosenRows(
  pass: ForwardPass,
  q: Tensor,
  { k, v, index }: ChosenRows,
  shape: ChosenRowsShape,
): Tensor {
  const { rows, count, heads, headDim } = shape;
  const width = heads * headDim;
  if (q.shape[0] !== rows || q.shape[1] !== width)
    throw errors.shape("attendChosenRows", `q must be [${rows}, ${width}]`, { q });
  if (index.length !== rows * count) {
    const got = { index: { shape: [index.length] } };
    throw errors.shape("attendChosenRows", `index must be [${rows}, ${count}]`, got);
  }
  const out = pass.allocate(rows * width);
  pass.backend.attendChosenRows({ q: q.buffer, k, v, index }, out, shape);
  return { shape: q.shape, buffer: out, requiresGrad: false };
}
