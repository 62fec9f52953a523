import { FreeSpace } from "../../core/backend/free-space.ts";
import { errors } from "../../core/errors.ts";
import type { CudaContext } from "./context.ts";
import { deviceRange } from "./device-range.ts";

/** Device memory for all buffers of a backend. */
export interface DevicePool {
  /** Allocates at least `bytes`, aligned to 256 bytes and uninitialised. Throws E_MEMORY. */
  alloc(bytes: number): number;
  /**
   * Frees a block that holds `bytes`. Kernels that are queued may still use it: later ones run after
   * them.
   */
  free(pointer: number, bytes: number): void;
  /** Bytes of live blocks. */
  readonly liveBytes: number;
  /** Bytes that it has taken of the device's memory. */
  readonly reservedBytes: number;
  /** Gives all memory back to the device. */
  close(): void;
}

/** Blocks begin at multiples of this: what cuBLAS takes as aligned, and a whole cache line. */
const ALIGNMENT = 256;

/** The size of a block that holds `bytes`. */
export const blockSize = (bytes: number) => Math.max(Math.ceil(bytes / ALIGNMENT), 1) * ALIGNMENT;

/**
 * Blocks of one range of addresses. One compute stream orders all work, so that a freed block may
 * be used again at once.
 */
export function devicePool(context: CudaContext): DevicePool {
  const range = deviceRange(context);
  const space = new FreeSpace();
  let live = 0;

  function extend(bytes: number): boolean {
    const added = range.back(bytes - space.below(range.end));
    if (added !== undefined) space.give(added.start, added.bytes);
    return added !== undefined;
  }

  return {
    alloc(bytes) {
      const size = blockSize(bytes);
      const start = space.take(size) ?? (extend(size) ? space.take(size) : undefined);
      if (start === undefined) throw errors.memory(size, live, range.freeBytes());
      live += size;
      return start;
    },
    free(pointer, bytes) {
      const size = blockSize(bytes);
      live -= size;
      space.give(pointer, size);
    },
    get liveBytes() {
      return live;
    },
    get reservedBytes() {
      return range.bytes;
    },
    close: () => range.close(),
  };
}
