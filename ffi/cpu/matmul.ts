import type { Pointer } from "bun:ffi";
import { CString } from "bun:ffi";
import { AdaloraError, invariant } from "../../core/errors.ts";
import { pointerAt } from "../libc.ts";
import { checked, openLibrary } from "../load.ts";
import { dnnlStatus } from "./dnnl.ts";

export type MatmulType = "f32" | "bf16";

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
  readonly b: MatmulOperand;
  readonly c: { readonly type: MatmulType; readonly rowStride: number };
  readonly bias: boolean;
  readonly accumulate: boolean;
}

export interface Matmul {
  run(shape: MatmulShape, a: Pointer, b: Pointer, c: Pointer, bias?: Pointer): void;
  /** oneDNN's name of the code that a shape gets, such as "brg:avx512_core_bf16". */
  implementation(shape: MatmulShape): string;
  /** Whether bf16 products run on bf16 instructions here; elsewhere they are slower than f32 or missing. */
  readonly bf16: boolean;
}

const P = "ptr";
const I = "i32";
const SYMBOLS = {
  dnnl_engine_create: { args: [P, I, "u64"], returns: I },
  dnnl_stream_create: { args: [P, P, "u32"], returns: I },
  dnnl_memory_desc_create_with_strides: { args: [P, I, P, I, P], returns: I },
  dnnl_memory_desc_destroy: { args: [P], returns: I },
  dnnl_memory_create: { args: [P, P, P, P], returns: I },
  dnnl_memory_set_data_handle: { args: [P, P], returns: I },
  dnnl_memory_destroy: { args: [P], returns: I },
  dnnl_primitive_attr_create: { args: [P], returns: I },
  dnnl_primitive_attr_set_post_ops: { args: [P, P], returns: I },
  dnnl_primitive_attr_destroy: { args: [P], returns: I },
  dnnl_post_ops_create: { args: [P], returns: I },
  dnnl_post_ops_append_sum: { args: [P, "f32", I, I], returns: I },
  dnnl_post_ops_destroy: { args: [P], returns: I },
  dnnl_matmul_primitive_desc_create: { args: [P, P, P, P, P, P, P], returns: I },
  dnnl_primitive_desc_query: { args: [P, I, I, P], returns: I },
  dnnl_primitive_desc_destroy: { args: [P], returns: I },
  dnnl_primitive_create: { args: [P, P], returns: I },
  dnnl_primitive_execute: { args: [P, P, I, P], returns: I },
  dnnl_primitive_destroy: { args: [P], returns: I },
} as const;

const TYPE: Readonly<Record<MatmulType, number>> = { bf16: 2, f32: 3 };
const ARG = { src: 1, dst: 17, weights: 33, bias: 41 } as const;
const ARGUMENT_BYTES = 16;
const CPU_ENGINE = 1;
const IN_ORDER = 1;
const QUERY_IMPLEMENTATION = 8;

/** A new shape costs 0.4 ms of code generation; a packed batch seldom has the row count of the last one. */
const KEPT_SHAPES = 512;

/** Receives a handle from C. The array itself is passed in each call: an address does not keep it alive. */
const slot = new BigUint64Array(new ArrayBuffer(8));
type Slot = typeof slot;

/** Matrix products as oneDNN primitives, kept by shape; past 512 shapes the one used longest ago goes. */
export function openMatmul(path: string): Matmul {
  const api = openApi(path);
  const engine = made("dnnl_engine_create", (to) => api.dnnl_engine_create(to, CPU_ENGINE, 0));
  const stream = made("dnnl_stream_create", (to) => api.dnnl_stream_create(to, engine, IN_ORDER));
  const execute = checked("dnnl_primitive_execute", api.dnnl_primitive_execute, dnnlStatus);
  const kept = new Map<string, Primitive>();

  function primitive(shape: MatmulShape): Primitive {
    const key = shapeKey(shape);
    const found = kept.get(key) ?? createPrimitive(api, engine, shape);
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
      invariant(shape.bias === (bias !== undefined), "a bias is given when the shape has one");
      const found = primitive(shape);
      found.bind(a, b, c, bias);
      execute(found.handle, stream, found.arguments.byteLength / ARGUMENT_BYTES, found.arguments);
    },
    implementation: (shape) => primitive(shape).implementation,
    bf16: hasBf16(api, engine),
  };
}

type Api = ReturnType<typeof openApi>;
const openApi = (path: string) => openLibrary("oneDNN", [path], SYMBOLS, "").symbols;

/** Calls a function that writes a new handle to its first argument, and returns the handle. */
function made(call: string, create: (to: Slot) => number): Pointer {
  checked(call, create, dnnlStatus)(slot);
  return pointerAt(Number(slot[0]));
}

const shapeKey = ({ m, n, k, a, b, c, bias, accumulate }: MatmulShape) =>
  `${m},${n},${k},${a.type},${a.rowStride},${a.columnStride},${b.type},${b.rowStride},` +
  `${b.columnStride},${c.type},${c.rowStride},${bias},${accumulate}`;

interface Primitive {
  readonly handle: Pointer;
  readonly implementation: string;
  /** dnnl_exec_arg_t[]: { int32 argument; (4 bytes of padding) void *memory; } */
  readonly arguments: Uint8Array;
  /** Points the arguments at the operands of the next execution. */
  bind(a: Pointer, b: Pointer, c: Pointer, bias: Pointer | undefined): void;
  destroy(): void;
}

function createPrimitive(api: Api, engine: Pointer, shape: MatmulShape): Primitive {
  const { m, n, k, a, b, c } = shape;
  const operands: [argument: number, descriptor: Pointer][] = [
    [ARG.src, describe(api, [m, k], a.type, [a.rowStride, a.columnStride])],
    [ARG.weights, describe(api, [k, n], b.type, [b.rowStride, b.columnStride])],
    [ARG.dst, describe(api, [m, n], c.type, [c.rowStride, 1])],
  ];
  if (shape.bias) operands.push([ARG.bias, describe(api, [1, n], "f32", [n, 1])]);
  const [src, weights, dst, bias] = operands.map(([, descriptor]) => descriptor);
  invariant(src !== undefined && weights !== undefined && dst !== undefined, "three operands");

  const attributes = shape.accumulate ? accumulating(api) : null;
  const description = made("dnnl_matmul_primitive_desc_create", (to) =>
    api.dnnl_matmul_primitive_desc_create(to, engine, src, weights, bias ?? null, dst, attributes),
  );
  const handle = made("dnnl_primitive_create", (to) => api.dnnl_primitive_create(to, description));
  const memories = operands.map(([, descriptor]) =>
    made("dnnl_memory_create", (to) => api.dnnl_memory_create(to, descriptor, engine, null)),
  );
  const implementation = new CString(
    made("dnnl_primitive_desc_query", (to) =>
      api.dnnl_primitive_desc_query(description, QUERY_IMPLEMENTATION, 0, to),
    ),
  );
  for (const [, descriptor] of operands) api.dnnl_memory_desc_destroy(descriptor);
  api.dnnl_primitive_desc_destroy(description);
  if (attributes !== null) api.dnnl_primitive_attr_destroy(attributes);

  const table = argumentTable(
    operands.map(([argument]) => argument),
    memories,
  );
  const set = checked("dnnl_memory_set_data_handle", api.dnnl_memory_set_data_handle, dnnlStatus);
  return {
    handle,
    implementation,
    arguments: table,
    bind(...data) {
      for (const [i, memory] of memories.entries()) set(memory, data[i] ?? null);
    },
    destroy() {
      for (const memory of memories) api.dnnl_memory_destroy(memory);
      api.dnnl_primitive_destroy(handle);
    },
  };
}

function argumentTable(names: readonly number[], memories: readonly Pointer[]): Uint8Array {
  const table = new DataView(new ArrayBuffer(ARGUMENT_BYTES * names.length));
  for (const [i, name] of names.entries()) {
    table.setInt32(ARGUMENT_BYTES * i, name, true);
    table.setBigUint64(ARGUMENT_BYTES * i + 8, BigInt(memories[i] ?? 0), true);
  }
  return new Uint8Array(table.buffer);
}

function describe(
  api: Api,
  sizes: readonly number[],
  type: MatmulType,
  strides: readonly number[],
): Pointer {
  return made("dnnl_memory_desc_create_with_strides", (to) =>
    api.dnnl_memory_desc_create_with_strides(
      to,
      sizes.length,
      BigInt64Array.from(sizes, BigInt),
      TYPE[type],
      BigInt64Array.from(strides, BigInt),
    ),
  );
}

/** Attributes of a product that adds to what C holds. */
function accumulating(api: Api): Pointer {
  const sum = made("dnnl_post_ops_create", (to) => api.dnnl_post_ops_create(to));
  const append = checked("dnnl_post_ops_append_sum", api.dnnl_post_ops_append_sum, dnnlStatus);
  append(sum, 1, 0, 0);
  const attributes = made("dnnl_primitive_attr_create", (to) => api.dnnl_primitive_attr_create(to));
  const set = checked(
    "dnnl_primitive_attr_set_post_ops",
    api.dnnl_primitive_attr_set_post_ops,
    dnnlStatus,
  );
  set(attributes, sum);
  api.dnnl_post_ops_destroy(sum);
  return attributes;
}

function hasBf16(api: Api, engine: Pointer): boolean {
  const square = { type: "bf16", rowStride: 64, columnStride: 1 } as const;
  const sizes = { m: 64, n: 64, k: 64, bias: false, accumulate: false };
  try {
    const probe = createPrimitive(api, engine, { ...sizes, a: square, b: square, c: square });
    probe.destroy();
    return /brg.*(bf16|amx)/.test(probe.implementation);
  } catch (error) {
    if (error instanceof AdaloraError) return false; // "unimplemented" below AVX-512
    throw error;
  }
}
