import type { Buffer } from "../../../core/backend.ts";
import type { GemmShape } from "../../../core/kernels/matrix.ts";
import {
  CudaBuffer,
  elementBytes,
  elements,
  floats,
  type KernelType,
  target,
  typeOf,
} from "../buffer.ts";
import type { CudaContext } from "../context.ts";
import type { Cublas, ProductOperand } from "../cublas.ts";
import type { CublasLt } from "../cublaslt.ts";
import { i64, type Launcher } from "../launcher.ts";
import { columnKernels } from "./columns.ts";
import { launchEach } from "./launches.ts";

/** Matrix products with an optional bias. */
export interface Products {
  /** C = op(A) op(B) + beta C, plus a bias [n] of master values on each row. */
  multiply(a: Buffer, b: Buffer, c: Buffer, shape: GemmShape, bias?: Buffer): void;
}

/**
 * Matrix products by cuBLASLt, or by cuBLAS where the former has no algorithm. Where an operand or
 * the result is bf16, float operands, such as trained weights, are rounded to bf16 first, since
 * both libraries multiply operands of one type only. Sums are float.
 */
export function openProducts(
  { driver, stream }: CudaContext,
  { cublas, cublasLt }: { cublas: Cublas; cublasLt: CublasLt },
  launcher: Launcher,
): Products {
  const { addBias } = columnKernels(launcher);

  /** C = beta C, which a product with k = 0 leaves. */
  function emptyProduct(c: Buffer, { m, n, beta = 0, ldc = n }: GemmShape) {
    const type = typeOf(c);
    const { pointer } = target(c, (m - 1) * ldc + n, type);
    const size = elementBytes[type];
    if (beta === 1) return;
    const clear = (at: number, bytes: number) =>
      driver.call("cuMemsetD8Async", undefined, at, 0, bytes, stream);
    if (ldc === n) return clear(pointer, m * n * size);
    for (let row = 0; row < m; row++) clear(pointer + row * ldc * size, n * size);
  }

  /** Returns whether it has added the bias, which the library does to a result of its type only. */
  function product(a: Buffer, b: Buffer, c: Buffer, shape: GemmShape, bias?: Buffer): boolean {
    const { m, n, k, transA = false, transB = false, beta = 0 } = shape;
    const { lda = transA ? m : k, ldb = transB ? k : n, ldc = n } = shape;
    const type = typeOf(c);
    const first = stored(a, transA, [m, k], lda);
    const second = stored(b, transB, [k, n], ldb);
    const half = type === "bf16" || typeOf(a) === "bf16" || typeOf(b) === "bf16";
    if (half) roundOperands(launcher, first, second);
    const to = target(c, (m - 1) * ldc + n, type);
    const result = { pointer: to.pointer, type, ld: ldc };
    const sizes = { m, n, k, beta };
    const added = bias !== undefined && type === "f32" ? floats(bias, n).pointer : undefined;
    if (cublasLt.multiply(sizes, first, second, result, added)) return added !== undefined;
    cublas.multiply(sizes, first, second, result);
    return false;
  }

  return {
    multiply(a, b, c, shape, bias) {
      const { m, n, k } = shape;
      if (m === 0 || n === 0) return;
      if (k === 0) emptyProduct(c, shape);
      else if (product(a, b, c, shape, bias)) return;
      if (bias) addBias(c, bias, m, n);
    },
  };
}

/** An operand as it is stored: a matrix of rows that are `ld` elements apart. */
interface Stored extends ProductOperand {
  pointer: number;
  type: KernelType;
  readonly buffer: CudaBuffer;
  /** Elements from the first to the last. */
  readonly length: number;
}

/** An operand of a product's sizes [rows, cols], which is stored transposed if `transposed`. */
function stored(
  buffer: Buffer,
  transposed: boolean,
  [rows, cols]: readonly [rows: number, cols: number],
  ld: number,
): Stored {
  const length = transposed ? (cols - 1) * ld + rows : (rows - 1) * ld + cols;
  const type = typeOf(buffer);
  const own = elements(buffer, length, type);
  return { pointer: own.pointer, type, ld, transposed, buffer: own, length };
}

/** Rounds what is not bf16 into scratch. */
function roundOperands(launcher: Launcher, a: Stored, b: Stored): void {
  const [first, second] = [roundedBytes(a), roundedBytes(b)];
  if (first + second === 0) return;
  const { pointer } = launcher.scratch((first + second) / elementBytes.f32);
  if (first > 0) roundOperand(launcher, a, pointer);
  if (second > 0) roundOperand(launcher, b, pointer + first);
}

/** Bytes of scratch for a rounded copy; 0 for what needs none. */
const roundedBytes = ({ type, length }: Stored) =>
  type === "bf16" ? 0 : Math.ceil((length * elementBytes.bf16) / ALIGNMENT) * ALIGNMENT;

function roundOperand(launcher: Launcher, operand: Stored, pointer: number): void {
  const { buffer, length } = operand;
  const to = new CudaBuffer("bf16", length, pointer);
  launchEach(launcher, "round_to_bf16", length, [buffer, to, i64(length)]);
  operand.pointer = pointer;
  operand.type = "bf16";
}

/** Bytes to whose multiples products' operands in scratch are aligned. */
const ALIGNMENT = 256;
