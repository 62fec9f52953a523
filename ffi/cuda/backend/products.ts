import type { Buffer } from "../../../core/backend.ts";
import type { GemmShape } from "../../../core/kernels/matrix.ts";
import { CudaBuffer, elementBytes, elements, floats, target, typeOf } from "../buffer.ts";
import type { CudaContext } from "../context.ts";
import type { Cublas, ProductOperand } from "../cublas.ts";
import type { CublasLt } from "../cublaslt.ts";
import { i64, type Launcher } from "../launcher.ts";
import { columnKernels } from "./columns.ts";
import { launchEach } from "./launches.ts";

/** An operand as it is stored: a matrix of rows that are `ld` elements apart. */
interface Stored {
  readonly buffer: Buffer;
  /** Elements from the first to the last. */
  readonly length: number;
  readonly ld: number;
  readonly transposed: boolean;
}

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
    const { m, n, k, beta = 0, ldc = n } = shape;
    const half = [a, b, c].some((each) => typeOf(each) === "bf16");
    const prepare = half ? roundedOperands : plainOperands;
    const [left, right] = prepare(launcher, storedOperands(a, b, shape));
    const to = target(c, (m - 1) * ldc + n, typeOf(c));
    const result = { pointer: to.pointer, type: typeOf(c), ld: ldc };
    const sizes = { m, n, k, beta };
    const added = bias !== undefined && result.type === "f32" ? floats(bias, n) : undefined;
    if (cublasLt.multiply(sizes, left, right, result, added?.pointer)) return added !== undefined;
    cublas.multiply(sizes, left, right, result);
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

type Pair<T> = readonly [a: T, b: T];

function storedOperands(a: Buffer, b: Buffer, shape: GemmShape): Pair<Stored> {
  const { m, n, k, transA = false, transB = false } = shape;
  const { lda = transA ? m : k, ldb = transB ? k : n } = shape;
  const stored = (
    buffer: Buffer,
    ld: number,
    transposed: boolean,
    [rows, cols]: Pair<number>,
  ): Stored => ({ buffer, length: (rows - 1) * ld + cols, ld, transposed });
  return [
    stored(a, lda, transA, transA ? [k, m] : [m, k]),
    stored(b, ldb, transB, transB ? [n, k] : [k, n]),
  ];
}

const operand = (buffer: CudaBuffer, { ld, transposed }: Stored): ProductOperand => ({
  pointer: buffer.pointer,
  type: typeOf(buffer),
  ld,
  transposed,
});

function plainOperands(_: Launcher, [a, b]: Pair<Stored>): Pair<ProductOperand> {
  return [operand(floats(a.buffer, a.length), a), operand(floats(b.buffer, b.length), b)];
}

/** Rounds what is not bf16 into scratch. */
function roundedOperands(launcher: Launcher, [a, b]: Pair<Stored>): Pair<ProductOperand> {
  const inScratch = ({ buffer, length }: Stored) =>
    typeOf(buffer) === "bf16" ? 0 : Math.ceil((length * elementBytes.bf16) / ALIGNMENT) * ALIGNMENT;
  const [first, second] = [inScratch(a), inScratch(b)];
  const bytes = first + second;
  const space = bytes === 0 ? 0 : launcher.scratch(bytes / elementBytes.f32).pointer;

  function rounded(stored: Stored, at: number): ProductOperand {
    const { buffer, length } = stored;
    if (typeOf(buffer) === "bf16") return operand(elements(buffer, length, "bf16"), stored);
    const to = new CudaBuffer("bf16", length, at);
    launchEach(launcher, "round_to_bf16", length, [floats(buffer, length), to, i64(length)]);
    return operand(to, stored);
  }

  return [rounded(a, space), rounded(b, space + first)];
}

/** Bytes to whose multiples products' operands in scratch are aligned. */
const ALIGNMENT = 256;
