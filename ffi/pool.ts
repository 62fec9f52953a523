import type { Pointer } from "bun:ffi";
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { blockBytes, FreeSpace } from "../core/backend/free-space.ts";
import { errors, invariant } from "../core/errors.ts";
import { libc, pointerAt, sanitizer } from "./libc.ts";

/** An allocator of native memory. */
export interface MemoryPool {
  /** Allocates at least `bytes`, aligned to 64 bytes and uninitialised. Throws E_MEMORY. */
  alloc(bytes: number): Pointer;
  /** Frees a block; its views become invalid. */
  free(pointer: Pointer): void;
  /** Bytes of live blocks. */
  readonly liveBytes: number;
}

/** Allocator behind a pool. */
interface Source {
  /** Bytes that a block of `bytes` occupies. */
  sizeOf(bytes: number): number;
  take(bytes: number): Pointer | undefined;
  give(pointer: Pointer, bytes: number): void;
}

/**
 * Returns the address of one block of at least `bytes`, reallocated without its contents to grow.
 */
export function growingBlock(pool: MemoryPool): (bytes: number) => Pointer {
  let block: { pointer: Pointer; bytes: number } | undefined;
  return (bytes) => {
    if (block === undefined || block.bytes < bytes) {
      if (block !== undefined) pool.free(block.pointer);
      block = { pointer: pool.alloc(bytes), bytes };
    }
    return block.pointer;
  };
}

/**
 * Native memory for all buffers of a backend. Pages of freed blocks stay with the pool: the system
 * takes longer to hand out zeroed pages than a step takes to fill them.
 */
export function memoryPool(): MemoryPool {
  const source = sanitizer === undefined ? arena() : exactBlocks;
  const sizes = new Map<Pointer, number>();
  let live = 0;
  return {
    alloc(bytes) {
      const size = source.sizeOf(bytes);
      const pointer = source.take(size);
      if (pointer === undefined) throw errors.memory(size, live);
      sizes.set(pointer, size);
      live += size;
      return pointer;
    },
    free(pointer) {
      const size = sizes.get(pointer);
      invariant(size !== undefined, () => `0x${pointer.toString(16)} is not a live block`);
      sizes.delete(pointer);
      live -= size;
      source.give(pointer, size);
    },
    get liveBytes() {
      return live;
    },
  };
}

/** Increment in which address space becomes accessible; only pages written to are resident. */
const STEP = 64 * 2 ** 20;

/**
 * One reserved region of address space, as large as the machine's memory, made accessible as it is
 * needed.
 */
function arena(): Source {
  const space = new FreeSpace();
  let region: { end: number; readonly limit: number } | undefined;

  /** Makes room at the end for a block of `bytes`. */
  function extend(bytes: number): boolean {
    region ??= reserve();
    if (region === undefined) return false;
    const [needed, left] = [bytes - space.below(region.end), region.limit - region.end];
    if (needed > left) return false;
    const more = Math.min(Math.ceil(needed / STEP) * STEP, left);
    if (libc.mprotect(pointerAt(region.end), more, PROT_READ_WRITE) !== 0) return false;
    space.give(region.end, more);
    region.end += more;
    return true;
  }

  return {
    sizeOf: (bytes) => blockBytes(bytes),
    take(bytes) {
      const start = space.take(bytes) ?? (extend(bytes) ? space.take(bytes) : undefined);
      return start === undefined ? undefined : pointerAt(start);
    },
    give: (pointer, bytes) => space.give(pointer, bytes),
  };
}

const PROT_NONE = 0x0;
const PROT_READ_WRITE = 0x3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MADV_HUGEPAGE = 14;
const HUGE_PAGE = 2 * 2 ** 20;

/** Reserves address space, less than the machine's memory where the process has a lower limit. */
function reserve(): { end: number; limit: number } | undefined {
  for (let bytes = machineBytes(); bytes >= STEP; bytes /= 2) {
    const size = Math.floor(bytes / HUGE_PAGE) * HUGE_PAGE;
    const base = Number(libc.mmap(null, size, PROT_NONE, MAP_PRIVATE_ANONYMOUS, -1, 0));
    if (base < 0) continue; // MAP_FAILED is -1
    const start = Math.ceil(base / HUGE_PAGE) * HUGE_PAGE;
    const limit = base + size;
    libc.madvise(pointerAt(start), limit - start, MADV_HUGEPAGE); // a hint; failure is harmless
    return { end: start, limit };
  }
  return undefined;
}

/** Memory and swap space. */
function machineBytes(): number {
  const facts = readFileSync("/proc/meminfo", "utf8");
  const kibibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(facts)?.[1] ?? 0);
  return 1024 * (kibibytes("MemTotal") + kibibytes("SwapTotal")) || totalmem();
}

/** The sanitizer's allocator, which detects accesses past the end of a block and after free. */
const exactBlocks: Source = {
  sizeOf: (bytes) => bytes,
  take(bytes) {
    const status = libc.posix_memalign(slot, 64, bytes);
    return status === 0 ? pointerAt(Number(slot[0])) : undefined;
  },
  give: (pointer) => libc.free(pointer),
};

/** Receives an address from C. Calls take the array itself: an address would not keep it alive. */
const slot = new BigUint64Array(new ArrayBuffer(8));
