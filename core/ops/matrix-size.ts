import { errors } from "../errors.ts";
import type { Tensor } from "../tensor.ts";

/** Rows and columns of an op's input by its name. Throws E_SHAPE for a tensor that is no matrix. */
export function matrixSize(
  op: string,
  name: string,
  tensor: Tensor,
): readonly [rows: number, cols: number] {
  const [rows, cols, ...rest] = tensor.shape;
  if (rows === undefined || cols === undefined || rest.length > 0)
    throw errors.shape(op, `${name} must be a matrix`, { [name]: tensor });
  return [rows, cols];
}
