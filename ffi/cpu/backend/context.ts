import type { Pointer } from "bun:ffi";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { viewBytes } from "../../memory.ts";
import { growingBlock, type MemoryPool } from "../../pool.ts";
import type { Dnnl } from "../dnnl.ts";
import { type Matmul, openMatmul } from "../matmul.ts";
import { elementBytes } from "./buffer.ts";

/** Shared by all groups of backend entries. */
export interface CpuContext {
  /** Path of the compiled kernels. */
  readonly library: string;
  readonly dnnl: Dnnl;
  readonly pool: MemoryPool;
  /** oneDNN's JIT products, opened on first use. */
  readonly matmul: () => Matmul;
  /**
   * Scratch of at least `floats` floats: one block shared by all kernels, valid during one call.
   */
  readonly scratch: (floats: number) => Pointer;
  /** Packs `dropout` for C, valid until the next call; NULL for none. */
  readonly dropout: (dropout: Dropout | undefined) => Pointer | null;
}

/** struct adl_dropout of kernels/philox.h: threshold, scale, key[2], step, site. */
const DROPOUT_BYTES = 24;

/** Creates the context of a backend over one pool. */
export function cpuContext(library: string, dnnl: Dnnl, pool: MemoryPool): CpuContext {
  const block = pool.alloc(DROPOUT_BYTES);
  const fields = new DataView(viewBytes(block, DROPOUT_BYTES));
  const scratch = growingBlock(pool);
  let matmul: Matmul | undefined;
  return {
    library,
    dnnl,
    pool,
    matmul: () => (matmul ??= openMatmul(dnnl.path, library, pool)),
    scratch: (floats) => scratch(floats * elementBytes.f32),
    dropout(dropout) {
      if (dropout === undefined) return null;
      const { probability, seed, step, site } = dropout;
      fields.setUint32(0, Math.floor(probability * 2 ** 32), true);
      fields.setFloat32(4, 1 / (1 - probability), true);
      fields.setUint32(8, seed[0], true);
      fields.setUint32(12, seed[1], true);
      fields.setUint32(16, step, true);
      fields.setUint32(20, site, true);
      return block;
    },
  };
}
