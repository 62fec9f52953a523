import type { Pointer } from "bun:ffi";
import { CString } from "bun:ffi";
import { invariant } from "../../core/errors.ts";
import { pointerAt } from "../libc.ts";
import { checked, openLibrary } from "../load.ts";
import { dnnlStatus } from "./dnnl.ts";
import { openProductCalls, type ProductCalls } from "./product-calls.ts";

const P = "ptr";
const I = "i32";
const SYMBOLS = {
  dnnl_engine_create: { args: [P, I, "u64"], returns: I },
  dnnl_stream_create: { args: [P, P, "u32"], returns: I },
  dnnl_memory_desc_create_with_strides: { args: [P, I, P, I, P], returns: I },
  dnnl_memory_desc_destroy: { args: [P], returns: I },
  dnnl_memory_desc_get_size: { args: [P], returns: "u64" },
  dnnl_memory_desc_create_with_tag: { args: [P, I, P, I, I], returns: I },
  dnnl_memory_desc_clone: { args: [P, P], returns: I },
  dnnl_memory_create: { args: [P, P, P, P], returns: I },
  dnnl_memory_set_data_handle: { args: [P, P], returns: I },
  dnnl_memory_destroy: { args: [P], returns: I },
  dnnl_primitive_attr_create: { args: [P], returns: I },
  dnnl_primitive_attr_set_post_ops: { args: [P, P], returns: I },
  dnnl_primitive_attr_set_scratchpad_mode: { args: [P, I], returns: I },
  dnnl_primitive_attr_destroy: { args: [P], returns: I },
  dnnl_post_ops_create: { args: [P], returns: I },
  dnnl_post_ops_append_sum: { args: [P, "f32", I, I], returns: I },
  dnnl_post_ops_destroy: { args: [P], returns: I },
  dnnl_matmul_primitive_desc_create: { args: [P, P, P, P, P, P, P], returns: I },
  dnnl_reorder_primitive_desc_create: { args: [P, P, P, P, P, P], returns: I },
  dnnl_primitive_desc_query: { args: [P, I, I, P], returns: I },
  dnnl_primitive_desc_query_md: { args: [P, I, I], returns: P },
  dnnl_primitive_desc_destroy: { args: [P], returns: I },
  dnnl_primitive_create: { args: [P, P], returns: I },
  dnnl_primitive_destroy: { args: [P], returns: I },
} as const;

/** Element types of products, with their dnnl_data_type_t. */
export type MatmulType = "f32" | "bf16";
const TYPE: Readonly<Record<MatmulType, number>> = { bf16: 2, f32: 3 };

/** Ids of a primitive's arguments: DNNL_ARG_* in dnnl.h. */
export const ARG = { src: 1, dst: 17, weights: 33, bias: 41, scratchpad: 80 } as const;

/** dnnl_format_tag_any */
const ANY_LAYOUT = 1;
const CPU_ENGINE = 1;
const IN_ORDER = 1;
const QUERY_IMPLEMENTATION = 8;
/** Bytes of dnnl_exec_arg_t: { int32 argument; (4 of padding) void *memory; } */
const ARGUMENT_BYTES = 16;

/** oneDNN's functions for primitives, with an engine and a stream. */
export interface PrimitiveApi {
  readonly symbols: ReturnType<typeof openSymbols>;
  readonly engine: Pointer;
  readonly stream: Pointer;
  readonly execute: ProductCalls["execute"];
}

const openSymbols = (path: string) => openLibrary("oneDNN", [path], SYMBOLS, "").symbols;

/**
 * Opens oneDNN's functions for primitives, which the compiled kernels execute; the library at
 * `path` must be open.
 */
export function openPrimitives(path: string, kernels: string): PrimitiveApi {
  const symbols = openSymbols(path);
  const engine = createHandle("dnnl_engine_create", (to) =>
    symbols.dnnl_engine_create(to, CPU_ENGINE, 0),
  );
  const stream = createHandle("dnnl_stream_create", (to) =>
    symbols.dnnl_stream_create(to, engine, IN_ORDER),
  );
  return { symbols, engine, stream, execute: openProductCalls(path, kernels).execute };
}

/** Receives a handle from C. Calls take the array itself: an address would not keep it alive. */
const slot = new BigUint64Array(new ArrayBuffer(8));

/** Calls a function that writes a new handle to its first argument; returns the handle. */
export function createHandle(call: string, create: (to: typeof slot) => number): Pointer {
  checked(call, create, dnnlStatus)(slot);
  return pointerAt(Number(slot[0]));
}

/**
 * Creates a memory descriptor with the given sizes and element strides; without strides oneDNN
 * chooses the layout.
 */
export function describeMemory(
  { symbols }: PrimitiveApi,
  sizes: readonly number[],
  type: MatmulType,
  strides: readonly number[] | undefined,
): Pointer {
  const dims = BigInt64Array.from(sizes, BigInt);
  if (strides === undefined)
    return createHandle("dnnl_memory_desc_create_with_tag", (to) =>
      symbols.dnnl_memory_desc_create_with_tag(to, dims.length, dims, TYPE[type], ANY_LAYOUT),
    );
  const steps = BigInt64Array.from(strides, BigInt);
  return createHandle("dnnl_memory_desc_create_with_strides", (to) =>
    symbols.dnnl_memory_desc_create_with_strides(to, dims.length, dims, TYPE[type], steps),
  );
}

/** A oneDNN primitive and its operands. */
export interface Primitive {
  /** oneDNN's name of the implementation. */
  readonly implementation: string;
  /** Runs on the given data, in operand order. */
  run(this: void, data: readonly Pointer[]): void;
  destroy(): void;
}

/**
 * Creates a primitive from its description, which it frees. Operands are argument ids with
 * descriptors, which the caller keeps.
 */
export function createPrimitive(
  { symbols, engine, stream, execute }: PrimitiveApi,
  description: Pointer,
  operands: readonly (readonly [argument: number, descriptor: Pointer])[],
): Primitive {
  const handle = createHandle("dnnl_primitive_create", (to) =>
    symbols.dnnl_primitive_create(to, description),
  );
  const memories = operands.map(([, descriptor]) =>
    createHandle("dnnl_memory_create", (to) =>
      symbols.dnnl_memory_create(to, descriptor, engine, null),
    ),
  );
  const name = createHandle("dnnl_primitive_desc_query", (to) =>
    symbols.dnnl_primitive_desc_query(description, QUERY_IMPLEMENTATION, 0, to),
  );
  const implementation = new CString(name);
  symbols.dnnl_primitive_desc_destroy(description);

  const names = operands.map(([argument]) => argument);
  const table = argumentTable(names, memories);
  const bind = checked(
    "dnnl_memory_set_data_handle",
    symbols.dnnl_memory_set_data_handle,
    dnnlStatus,
  );
  return {
    implementation,
    run(data) {
      invariant(data.length === memories.length, "each operand has its data");
      for (const [i, memory] of memories.entries()) bind(memory, data[i] ?? null);
      execute(handle, stream, memories.length, table);
    },
    destroy() {
      for (const memory of memories) symbols.dnnl_memory_destroy(memory);
      symbols.dnnl_primitive_destroy(handle);
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
