import type { Pointer } from "bun:ffi";
import type { Buffer } from "../../../core/backend.ts";
import type { GemmShape } from "../../../core/kernels/matrix.ts";
import { offsetBy } from "../../memory.ts";
import { operand } from "../matmul.ts";
import { converter } from "./adopt.ts";
import { elementBytes, floats, elements, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { packedWeights } from "./packed-weights.ts";

/** Elements that a strided matrix spans. */
const spanLength = (rows: number, cols: number, stride: number) =>
  rows === 0 || cols === 0 ? 0 : (rows - 1) * stride + cols;

/** Leading dimensions of a product, and the elements that each operand spans. */
export function operandLayout({ m, n, k, transA = false, transB = false, ...strides }: GemmShape) {
  const { lda = transA ? m : k, ldb = transB ? k : n, ldc = n } = strides;
  const lengths = {
    a: transA ? spanLength(k, m, lda) : spanLength(m, k, lda),
    b: transB ? spanLength(n, k, ldb) : spanLength(k, n, ldb),
    c: spanLength(m, n, ldc),
  };
  return { lda, ldb, ldc, lengths };
}

/**
 * Products with a bf16 operand or result. Float operands, such as trained weights, are rounded to
 * bf16 first: oneDNN's mixed-type products are no faster, and wrong in some versions. Sums are
 * float.
 */
export function mixedProducts({ library, matmul, scratch, pool }: CpuContext) {
  const convert = converter(library);
  let packing: ReturnType<typeof packedWeights> | undefined;

  /** Address of `count` elements in bf16, converted into `space` if necessary. */
  function toBf16(buffer: Buffer, count: number, space: Pointer): Pointer {
    if (typeOf(buffer) === "bf16") return elements(buffer, count, "bf16");
    convert("F32", floats(buffer, count), space, count, "bf16");
    return space;
  }

  return (a: Buffer, b: Buffer, c: Buffer, shape: GemmShape): void => {
    const { m, n, k, transA = false, transB = false, beta = 0 } = shape;
    const packed = (packing ??= packedWeights(matmul(), pool));
    const { lda, ldb, ldc, lengths } = operandLayout(shape);
    const type = typeOf(c);
    const half = roundUpToLine(lengths.a * elementBytes.bf16);
    const space = scratch((half + roundUpToLine(lengths.b * elementBytes.bf16)) / elementBytes.f32);
    const weights = lengths.b === k * n ? packed(b, { k, n, transB }) : undefined;
    matmul().run(
      {
        m,
        n,
        k,
        bias: false,
        accumulate: beta === 1,
        a: operand("bf16", transA, lda),
        b: weights?.layout ?? operand("bf16", transB, ldb),
        c: { type, rowStride: ldc },
      },
      toBf16(a, lengths.a, space),
      weights?.pointer ?? toBf16(b, lengths.b, offsetBy(space, half)),
      target(c, lengths.c, type),
    );
  };
}

const roundUpToLine = (bytes: number) => Math.ceil(bytes / 64) * 64;
