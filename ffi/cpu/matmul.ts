import type { Pointer } from "bun:ffi";
import { AdaloraError, invariant } from "../../core/errors.ts";
import { pointerAt } from "../libc.ts";
import { checked } from "../load.ts";
import { growingBlock, type MemoryPool } from "../pool.ts";
import { dnnlStatus } from "./dnnl.ts";
import { type PackedLayout, packings } from "./packing.ts";
import {
  ARG,
  describeMemory,
  createHandle,
  createPrimitive,
  type MatmulType,
  openPrimitives,
  type Primitive,
  type PrimitiveApi,
} from "./primitive.ts";

/**
 * An operand's element strides, down a column and along a row: [columns, 1] is row-major, [1, rows]
 * its transpose.
 */
export interface MatmulOperand {
  readonly type: MatmulType;
  readonly rowStride: number;
  readonly columnStride: number;
}

/** A matrix, or its transpose, with leading dimension `stride`. */
export const operand = (type: MatmulType, transposed: boolean, stride: number): MatmulOperand => ({
  type,
  rowStride: transposed ? 1 : stride,
  columnStride: transposed ? stride : 1,
});

/** C[m,n] = A[m,k] B[k,n] (+ bias[n], f32) (+ C if `accumulate`), summed in f32. */
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

/** Matrix products by oneDNN. */
export interface Matmul {
  run(shape: MatmulShape, a: Pointer, b: Pointer, c: Pointer, bias?: Pointer): void;
  /**
   * The packed layout in which products with weights B[k,n] are fastest, for any m: 5-40 % over a
   * transposed W, most for few rows.
   */
  layout(k: number, n: number, type: MatmulType): PackedLayout;
  /** Packs B[k,n], converted if types differ, into `layout.bytes` bytes at `to`. */
  pack(layout: PackedLayout, from: Pointer, operand: MatmulOperand, to: Pointer): void;
  /** oneDNN's name of a shape's implementation, such as "brg:avx512_core_bf16". */
  implementation(shape: MatmulShape): string;
  /**
   * Whether products of `type` are JIT-compiled for their shape here; otherwise f32 runs as sgemm,
   * and bf16 is slow or missing.
   */
  hasJit(type: MatmulType): boolean;
}

/**
 * A new shape costs 0.5 ms of JIT compilation, and 150 KB while cached; a packed batch seldom
 * repeats the last one's row count. A training step compiles 13 to 18 shapes for a new count, 1 to
 * 2 % of a step of 400 tokens.
 */
const KEPT_SHAPES = 512;

/** A product's primitive, and its scratchpad size; a scratchpad is the last operand. */
interface Product extends Primitive {
  readonly scratchBytes: number;
}

/**
 * Matrix products as primitives of the oneDNN at `path`, cached by shape; beyond 512 shapes the
 * least recently used is dropped. All share one scratchpad from `pool`: by itself oneDNN keeps one
 * per primitive, as large as W where W is transposed.
 */
export function openMatmul(path: string, kernels: string, pool: MemoryPool): Matmul {
  const api = openPrimitives(path, kernels);
  const kept = new Map<string, Product>();
  const scratch = growingBlock(pool);

  function product(shape: MatmulShape): Product {
    const key = shapeKey(shape);
    const found = kept.get(key) ?? createProduct(api, shape);
    kept.delete(key); // re-inserted as the most recent: maps keep insertion order
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
      const { run, scratchBytes } = product(shape);
      const data = bias === undefined ? [a, b, c] : [a, b, c, bias];
      if (scratchBytes > 0) data.push(scratch(scratchBytes));
      run(data);
    },
    ...packings(api),
    implementation: (shape) => product(shape).implementation,
    hasJit: (type) => hasJit(api, type),
  };
}

const shapeKey = ({ m, n, k, a, b, c, bias, accumulate }: MatmulShape) =>
  `${m},${n},${k},${a.type},${a.rowStride},${a.columnStride},` +
  ("descriptor" in b ? `${b.descriptor}` : `${b.type},${b.rowStride},${b.columnStride}`) +
  `,${c.type},${c.rowStride},${bias},${accumulate}`;

const QUERY_SCRATCHPAD = 136;

function createProduct(api: PrimitiveApi, shape: MatmulShape): Product {
  const { m, n, k, a, b, c } = shape;
  const { symbols, engine } = api;
  const src = describeMemory(api, [m, k], a.type, [a.rowStride, a.columnStride]);
  const dst = describeMemory(api, [m, n], c.type, [c.rowStride, 1]);
  const bias = shape.bias ? describeMemory(api, [1, n], "f32", [n, 1]) : null;
  const plain =
    "descriptor" in b ? null : describeMemory(api, [k, n], b.type, [b.rowStride, b.columnStride]);
  const weights = "descriptor" in b ? b.descriptor : plain;
  const attributes = attributesOf(api, shape);
  try {
    const description = createHandle("dnnl_matmul_primitive_desc_create", (to) =>
      symbols.dnnl_matmul_primitive_desc_create(to, engine, src, weights, bias, dst, attributes),
    );
    invariant(weights !== null, "weights are described");
    const operands: [number, Pointer][] = [
      [ARG.src, src],
      [ARG.weights, weights],
      [ARG.dst, dst],
    ];
    if (bias !== null) operands.push([ARG.bias, bias]);
    const own = symbols.dnnl_primitive_desc_query_md(description, QUERY_SCRATCHPAD, 0);
    const scratch = pointerAt(Number(own)); // owned by the description
    const scratchBytes = Number(symbols.dnnl_memory_desc_get_size(scratch));
    if (scratchBytes > 0) operands.push([ARG.scratchpad, scratch]);
    return { ...createPrimitive(api, description, operands), scratchBytes };
  } finally {
    for (const descriptor of [src, dst, bias, plain])
      if (descriptor !== null) symbols.dnnl_memory_desc_destroy(descriptor);
    symbols.dnnl_primitive_attr_destroy(attributes);
  }
}

const SCRATCHPAD_OF_CALLER = 1;

/** Attributes of a product with a caller-provided scratchpad that adds to C if `accumulate`. */
function attributesOf({ symbols }: PrimitiveApi, { accumulate }: MatmulShape): Pointer {
  const attributes = createHandle("dnnl_primitive_attr_create", (to) =>
    symbols.dnnl_primitive_attr_create(to),
  );
  const setMode = symbols.dnnl_primitive_attr_set_scratchpad_mode;
  const setScratchpad = checked("dnnl_primitive_attr_set_scratchpad_mode", setMode, dnnlStatus);
  setScratchpad(attributes, SCRATCHPAD_OF_CALLER);
  if (!accumulate) return attributes;
  const post = createHandle("dnnl_post_ops_create", (to) => symbols.dnnl_post_ops_create(to));
  const append = checked("dnnl_post_ops_append_sum", symbols.dnnl_post_ops_append_sum, dnnlStatus);
  append(post, 1, 0, 0);
  const setPost = symbols.dnnl_primitive_attr_set_post_ops;
  checked("dnnl_primitive_attr_set_post_ops", setPost, dnnlStatus)(attributes, post);
  symbols.dnnl_post_ops_destroy(post);
  return attributes;
}

/** Names of oneDNN's JIT implementations. */
const JIT_NAMES = { f32: /^brg/, bf16: /^brg.*(bf16|amx)/ } as const;

function hasJit(api: PrimitiveApi, type: MatmulType): boolean {
  const square = { type, rowStride: 64, columnStride: 1 } as const;
  const sizes = { m: 64, n: 64, k: 64, bias: false, accumulate: false };
  try {
    const probe = createProduct(api, { ...sizes, a: square, b: square, c: square });
    probe.destroy();
    return JIT_NAMES[type].test(probe.implementation);
  } catch (error) {
    if (error instanceof AdaloraError) return false; // "unimplemented": bf16 below AVX-512
    throw error;
  }
}
