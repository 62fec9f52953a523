import type { Pointer } from "bun:ffi";
import { AdaloraError, invariant } from "../../core/errors.ts";
import { checked } from "../load.ts";
import { dnnlStatus } from "./dnnl.ts";
import { type PackedLayout, packings } from "./packing.ts";
import {
  ARG,
  describe,
  made,
  makePrimitive,
  type MatmulType,
  openPrimitives,
  type Primitive,
  type PrimitiveApi,
} from "./primitive.ts";

/** One operand: element strides of a step down a row and along it; [columns, 1] is row-major, [1, rows] its transpose. */
export interface MatmulOperand {
  readonly type: MatmulType;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** C[m,n] = A[m,k] B[k,n] (+ bias[n], f32) (+ C when `accumulate`). Sums are f32. */
export interface MatmulShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: MatmulOperand;
  readonly b: MatmulOperand | PackedLayout;
  readonly c: { readonly type: MatmulType; readonly rowStride: number };
  readonly bias: boolean;
  readonly accumulate: boolean;
}

export interface Matmul {
  run(shape: MatmulShape, a: Pointer, b: Pointer, c: Pointer, bias?: Pointer): void;
  /** The layout in which weights B[k,n] are multiplied fastest, whatever m is: 5-40 % over a transposed W, fewest rows gain most. */
  layout(k: number, n: number, type: MatmulType): PackedLayout;
  /** Writes B[k,n], converted when types differ, in a layout of `layout(k, n, …)`: `layout.bytes` from `to` on. */
  pack(layout: PackedLayout, from: Pointer, operand: MatmulOperand, to: Pointer): void;
  /** oneDNN's name of the code that a shape gets, such as "brg:avx512_core_bf16". */
  implementation(shape: MatmulShape): string;
  /** Whether bf16 products run on bf16 instructions here; elsewhere they are slower than f32 or missing. */
  readonly bf16: boolean;
}

/**
 * A new shape costs 0.5 ms of code generation, and 150 KB for as long as it is kept; a packed batch seldom has the row count of the
 * last one. A training step makes 13 to 18 for a new count, 1 to 2 % of a step of 400 tokens.
 */
const KEPT_SHAPES = 512;

/** Matrix products as primitives of the oneDNN at `path`, kept by shape; past 512 shapes the one used longest ago goes. */
export function openMatmul(path: string, kernels: string): Matmul {
  const api = openPrimitives(path, kernels);
  const kept = new Map<string, Primitive>();

  function product(shape: MatmulShape): Primitive {
    const key = shapeKey(shape);
    const found = kept.get(key) ?? createProduct(api, shape);
    kept.delete(key); // set anew, it becomes the latest: a map keeps the order of insertion
    kept.set(key, found);
    if (kept.size > KEPT_SHAPES) dropOldest();
    return found;
  }

  function dropOldest() {
    for (const [key, oldest] of kept) {
      kept.delete(key);
      oldest.destroy();
      return;
    }
  }

  return {
    run(shape, a, b, c, bias) {
      product(shape).run(bias === undefined ? [a, b, c] : [a, b, c, bias]);
    },
    ...packings(api),
    implementation: (shape) => product(shape).implementation,
    bf16: hasBf16(api),
  };
}

const shapeKey = ({ m, n, k, a, b, c, bias, accumulate }: MatmulShape) =>
  `${m},${n},${k},${a.type},${a.rowStride},${a.columnStride},` +
  ("descriptor" in b ? `${b.descriptor}` : `${b.type},${b.rowStride},${b.columnStride}`) +
  `,${c.type},${c.rowStride},${bias},${accumulate}`;

function createProduct(api: PrimitiveApi, shape: MatmulShape): Primitive {
  const { m, n, k, a, b, c } = shape;
  const { symbols, engine } = api;
  const src = describe(api, [m, k], a.type, [a.rowStride, a.columnStride]);
  const dst = describe(api, [m, n], c.type, [c.rowStride, 1]);
  const bias = shape.bias ? describe(api, [1, n], "f32", [n, 1]) : null;
  const plain =
    "descriptor" in b ? null : describe(api, [k, n], b.type, [b.rowStride, b.columnStride]);
  const weights = "descriptor" in b ? b.descriptor : plain;
  const attributes = shape.accumulate ? accumulating(api) : null;
  try {
    const description = made("dnnl_matmul_primitive_desc_create", (to) =>
      symbols.dnnl_matmul_primitive_desc_create(to, engine, src, weights, bias, dst, attributes),
    );
    invariant(weights !== null, "weights are described");
    const operands: [number, Pointer][] = [
      [ARG.src, src],
      [ARG.weights, weights],
      [ARG.dst, dst],
    ];
    if (bias !== null) operands.push([ARG.bias, bias]);
    return makePrimitive(api, description, operands);
  } finally {
    for (const descriptor of [src, dst, bias, plain])
      if (descriptor !== null) symbols.dnnl_memory_desc_destroy(descriptor);
    if (attributes !== null) symbols.dnnl_primitive_attr_destroy(attributes);
  }
}

/** Attributes of a product that adds to what C holds. */
function accumulating({ symbols }: PrimitiveApi): Pointer {
  const sum = made("dnnl_post_ops_create", (to) => symbols.dnnl_post_ops_create(to));
  const append = checked("dnnl_post_ops_append_sum", symbols.dnnl_post_ops_append_sum, dnnlStatus);
  append(sum, 1, 0, 0);
  const attributes = made("dnnl_primitive_attr_create", (to) =>
    symbols.dnnl_primitive_attr_create(to),
  );
  const set = checked(
    "dnnl_primitive_attr_set_post_ops",
    symbols.dnnl_primitive_attr_set_post_ops,
    dnnlStatus,
  );
  set(attributes, sum);
  symbols.dnnl_post_ops_destroy(sum);
  return attributes;
}

function hasBf16(api: PrimitiveApi): boolean {
  const square = { type: "bf16", rowStride: 64, columnStride: 1 } as const;
  const sizes = { m: 64, n: 64, k: 64, bias: false, accumulate: false };
  try {
    const probe = createProduct(api, { ...sizes, a: square, b: square, c: square });
    probe.destroy();
    return /brg.*(bf16|amx)/.test(probe.implementation);
  } catch (error) {
    if (error instanceof AdaloraError) return false; // "unimplemented" below AVX-512
    throw error;
  }
}
