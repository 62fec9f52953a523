import type { Pointer } from "bun:ffi";
import { pointerAt } from "../libc.ts";
import type { MatmulOperand } from "./matmul.ts";
import {
  ARG,
  describeMemory,
  createHandle,
  createPrimitive,
  type MatmulType,
  type PrimitiveApi,
} from "./primitive.ts";

/** oneDNN's packed layout of weights [k, n] of one type, created once and cached. */
export interface PackedLayout {
  readonly k: number;
  readonly n: number;
  /** Bytes of packed weights; more than k * n elements if blocks are padded. */
  readonly bytes: number;
  readonly descriptor: Pointer;
}

const QUERY_WEIGHTS = 131;
/** Row count for which a layout is chosen; any other count works with it too. */
const ROWS = 256;
/** A reorder's arguments have the ids of src and dst. */
const { src: FROM, dst: TO } = ARG;

/** The functions of Matmul for packed weights. */
export function packings(api: PrimitiveApi) {
  const layouts = new Map<string, PackedLayout>();
  return {
    layout(k: number, n: number, type: MatmulType): PackedLayout {
      const key = `${k},${n},${type}`;
      const found = layouts.get(key) ?? chooseLayout(api, k, n, type);
      layouts.set(key, found);
      return found;
    },

    pack(layout: PackedLayout, from: Pointer, operand: MatmulOperand, to: Pointer) {
      const { symbols, engine } = api;
      const strides = [operand.rowStride, operand.columnStride];
      const plain = describeMemory(api, [layout.k, layout.n], operand.type, strides);
      const description = createHandle("dnnl_reorder_primitive_desc_create", (out) =>
        symbols.dnnl_reorder_primitive_desc_create(
          out,
          plain,
          engine,
          layout.descriptor,
          engine,
          null,
        ),
      );
      const reorder = createPrimitive(api, description, [
        [FROM, plain],
        [TO, layout.descriptor],
      ]);
      symbols.dnnl_memory_desc_destroy(plain);
      reorder.run([from, to]);
      reorder.destroy();
    },
  };
}

function chooseLayout(api: PrimitiveApi, k: number, n: number, type: MatmulType): PackedLayout {
  const { symbols, engine } = api;
  const src = describeMemory(api, [ROWS, k], type, [k, 1]);
  const dst = describeMemory(api, [ROWS, n], "f32", [n, 1]);
  const open = describeMemory(api, [k, n], type, undefined);
  const product = createHandle("dnnl_matmul_primitive_desc_create", (to) =>
    symbols.dnnl_matmul_primitive_desc_create(to, engine, src, open, null, dst, null),
  );
  const chosen = pointerAt(Number(symbols.dnnl_primitive_desc_query_md(product, QUERY_WEIGHTS, 0)));
  const descriptor = createHandle("dnnl_memory_desc_clone", (to) =>
    symbols.dnnl_memory_desc_clone(to, chosen),
  );
  for (const each of [src, dst, open]) symbols.dnnl_memory_desc_destroy(each);
  symbols.dnnl_primitive_desc_destroy(product); // also frees `chosen`
  return { k, n, bytes: Number(symbols.dnnl_memory_desc_get_size(descriptor)), descriptor };
}
