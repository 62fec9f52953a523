import type { Backend, Buffer } from "../backend.ts";
import { invariant } from "../errors.ts";
import { elementBytes } from "./counting.ts";
import { blockBytes, FreeSpace } from "./free-space.ts";

/**
 * Blocks over one reserved range of addresses, as a pool places them; there is no memory behind.
 */
export interface PlacedBlocks {
  /** Places a block that is never freed. */
  readonly place: (bytes: number) => void;
  /** The highest end of any block so far. */
  readonly reached: () => number;
  /** Allocates as `counting` does, and places the buffer's block. */
  readonly entries: Pick<Backend, "alloc" | "free">;
}

/** Places the blocks of a backend that counts. `alignment`: bytes; default: as the host's pool. */
export function placedBlocks(counting: Backend, alignment?: number): PlacedBlocks {
  const space = new FreeSpace();
  space.give(0, Number.MAX_SAFE_INTEGER);
  const starts = new Map<Buffer, number>();
  const sizeOf = ({ dtype, length }: Buffer) => blockBytes(length * elementBytes[dtype], alignment);
  let reached = 0;
  const take = (size: number): number => {
    const start = space.take(size);
    invariant(start !== undefined, "address space is endless");
    reached = Math.max(reached, start + size);
    return start;
  };
  return {
    place: (bytes) => void take(blockBytes(bytes, alignment)),
    reached: () => reached,
    entries: {
      alloc(dtype, length) {
        const buffer = counting.alloc(dtype, length);
        starts.set(buffer, take(sizeOf(buffer)));
        return buffer;
      },
      free(buffer) {
        const start = starts.get(buffer);
        if (start !== undefined) space.give(start, sizeOf(buffer));
        starts.delete(buffer);
        counting.free(buffer);
      },
    },
  };
}
