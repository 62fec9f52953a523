import type { Pointer } from "bun:ffi";
import type { Buffer } from "../../../core/backend.ts";
import { dropFilePages } from "../../memory.ts";
import type { MemoryPool } from "../../pool.ts";
import { type Matmul, operand } from "../matmul.ts";
import type { PackedLayout } from "../packing.ts";
import type { MatmulType } from "../primitive.ts";
import { cpuBuffer, type CpuBuffer, elementBytes, typeOf } from "./buffer.ts";

/** A checkpoint matrix in the layout that products read fastest. */
export interface Packed {
  readonly layout: PackedLayout;
  readonly pointer: Pointer;
}

/** A product's whole, contiguous B[k,n]; stored transposed if `transB`. */
export interface Factor {
  readonly k: number;
  readonly n: number;
  readonly transB: boolean;
}

/**
 * Largest ratio of packed to plain bytes: narrow matrices, whose blocks need more padding, stay
 * plain.
 */
const MOST_PADDING = 1.25;

/**
 * Checkpoint matrices, packed in bf16 at their first product and kept as long as the matrix: once
 * for x W^T, and once for dy W where a layer below is trained. Floats in a file are packed from the
 * mapping, without a plain bf16 copy. Measured on Zen 4 against plain matrices: 2-8 % from 300 rows
 * on, 20-30 % at 32; CPUs with AMX gain more.
 */
export function packedWeights(matmul: Matmul, pool: MemoryPool) {
  const known = new WeakMap<CpuBuffer, Map<string, Packed>>();
  const unused = new FinalizationRegistry<Pointer>((pointer) => pool.free(pointer));

  function pack(buffer: CpuBuffer, { k, n, transB }: Factor, layout: PackedLayout): Packed {
    const pointer = pool.alloc(layout.bytes);
    const write = (from: Pointer, type: MatmulType) => {
      matmul.pack(layout, from, operand(type, transB, transB ? k : n), pointer);
      dropFilePages(from, k * n * elementBytes[type]);
    };
    const { pending } = buffer;
    if (pending?.floats !== undefined) write(pending.floats, "f32");
    else if (pending !== undefined) {
      const plain = pending.convert();
      write(plain, "bf16");
      pool.free(plain);
    } else write(buffer.pointer, "bf16");
    unused.register(buffer, pointer);
    return { layout, pointer };
  }

  /** Returns the packed matrix, or undefined if `buffer` cannot be packed. */
  return (buffer: Buffer, factor: Factor): Packed | undefined => {
    const own = cpuBuffer(buffer);
    const { k, n, transB } = factor;
    if (!own.adopted || typeOf(own) !== "bf16" || own.length !== k * n) return undefined;
    const packed = known.get(own) ?? new Map<string, Packed>();
    const key = `${k},${n},${transB}`;
    const found = packed.get(key);
    if (found !== undefined) return found;
    const layout = matmul.layout(k, n, "bf16");
    if (layout.bytes > MOST_PADDING * k * n * elementBytes.bf16) return undefined;
    const made = pack(own, factor, layout);
    known.set(own, packed.set(key, made));
    return made;
  };
}
