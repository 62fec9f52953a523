import { type Pointer, toArrayBuffer } from "bun:ffi";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { ALIGNMENT, POOL_FLOOR, POOL_SLACK, sizeClass } from "../core/backend/size-classes.ts";
import { errors, invariant } from "../core/errors.ts";
import { libc, pointerAt, sanitizer } from "./libc.ts";

/** From one huge page on, blocks are mapped by themselves and the kernel is asked for huge pages. */
const HUGE_PAGE = 2 * 2 ** 20;
/** A waiting block serves where it is at most this times what is asked for: batches differ in tokens from step to step. */
const LOOSEST_FIT = 1.5;

const PROT_READ_WRITE = 0x3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MADV_HUGEPAGE = 14;

export interface MemoryPool {
  /** A block of at least `bytes`, aligned to 64 bytes (to 2 MiB from 2 MiB on). Its contents are undefined. */
  alloc(bytes: number): Pointer;
  /** Takes a block back for the next `alloc` of its size class. Views of it must not be used any more. */
  free(pointer: Pointer): void;
  /** Gives every pooled block back to the system. */
  trim(): void;
  /** Starts `peakBytes` anew from what is live. */
  resetPeak(): void;
  /** Bytes of blocks handed out, their highest sum, and bytes kept for the next `alloc`; sizes are those of the classes. */
  readonly liveBytes: number;
  readonly peakBytes: number;
  readonly pooledBytes: number;
}

/** Size of the block for `bytes`. */
export function classBytes(bytes: number): number {
  if (sanitizer !== undefined) return bytes; // exact blocks, so that a step past the end is seen
  return sizeClass(bytes);
}

/**
 * Native memory by size class. Freed blocks wait in their class, and serve smaller requests too where none of their own class
 * waits. Before the pool grows beyond a tenth above what was ever live at once (and 64 MiB), the classes used
 * longest ago go back to the system.
 */
export function memoryPool(): MemoryPool {
  const sizes = new Map<Pointer, number>();
  const waiting = waitingBlocks();
  let live = 0;
  let peak = 0;

  /** Bytes that may wait beside what is live and `more`. */
  const room = (more: number) =>
    Math.max(POOL_SLACK * Math.max(peak, live + more) - live - more, POOL_FLOOR);

  function acquireWithin(size: number): Pointer | undefined {
    waiting.shrink(room(size));
    const pointer = acquire(size);
    if (pointer !== undefined) return pointer;
    waiting.shrink(0); // blocks of other classes may be what the system lacks
    return acquire(size);
  }

  return {
    alloc(bytes) {
      const found = waiting.take(classBytes(bytes));
      const size = found?.size ?? classBytes(bytes);
      const pointer = found?.pointer ?? acquireWithin(size);
      if (pointer === undefined) throw errors.memory(size, live);
      sizes.set(pointer, size);
      live += size;
      peak = Math.max(peak, live);
      return pointer;
    },
    free(pointer) {
      const size = sizes.get(pointer);
      invariant(size !== undefined, `0x${pointer.toString(16)} is not a live block`);
      sizes.delete(pointer);
      live -= size;
      waiting.put(size, pointer);
      waiting.shrink(sanitizer === undefined ? room(0) : 0);
    },
    trim: () => waiting.shrink(0),
    resetPeak() {
      peak = live;
    },
    get liveBytes() {
      return live;
    },
    get peakBytes() {
      return peak;
    },
    get pooledBytes() {
      return waiting.bytes;
    },
  };
}

/** Free blocks by class size. A map's insertion order is kept as the order of use. */
function waitingBlocks() {
  const classes = new Map<number, Pointer[]>();
  let bytes = 0;

  const latest = (size: number): Pointer[] => {
    const blocks = classes.get(size) ?? [];
    classes.delete(size);
    classes.set(size, blocks);
    return blocks;
  };

  function nextLarger(wanted: number): number | undefined {
    if (!isMapped(wanted)) return undefined; // small blocks are cheap, and exact under the sanitizer
    let best: number | undefined;
    for (const [size, blocks] of classes) {
      const fits = size > wanted && size <= LOOSEST_FIT * wanted && blocks.length > 0;
      if (fits && (best === undefined || size < best)) best = size;
    }
    return best;
  }

  return {
    /** A block of the class, or of the next larger one that has any and is not much larger. */
    take(wanted: number): { pointer: Pointer; size: number } | undefined {
      const size = classes.get(wanted)?.length ? wanted : nextLarger(wanted);
      const pointer = size === undefined ? undefined : latest(size).pop();
      if (size === undefined || pointer === undefined) return undefined;
      bytes -= size;
      return { pointer, size };
    },
    put(size: number, pointer: Pointer) {
      latest(size).push(pointer);
      bytes += size;
    },
    /** Releases blocks, those of the class used longest ago first, until at most `limit` bytes wait. */
    shrink(limit: number) {
      for (const [size, blocks] of classes) {
        while (bytes > limit) {
          const pointer = blocks.pop();
          if (pointer === undefined) break;
          release(pointer, size);
          bytes -= size;
        }
        if (bytes <= limit) return;
        classes.delete(size);
      }
    },
    get bytes() {
      return bytes;
    },
  };
}

/** Receives an address from C. The array itself is passed in each call: an address does not keep it alive. */
const slot = new BigUint64Array(new ArrayBuffer(8));

const isMapped = (size: number) => size >= HUGE_PAGE && sanitizer === undefined;

function acquire(size: number): Pointer | undefined {
  if (isMapped(size)) return mapAligned(size);
  const status = libc.posix_memalign(slot, ALIGNMENT, size);
  return status === 0 ? pointerAt(Number(slot[0])) : undefined;
}

function release(pointer: Pointer, size: number) {
  if (isMapped(size)) unmap(pointer, size);
  else libc.free(pointer);
}

/** Maps `size` bytes at a multiple of 2 MiB: maps more than needed and unmaps both ends. */
function mapAligned(size: number): Pointer | undefined {
  const whole = size + HUGE_PAGE;
  const base = Number(libc.mmap(null, whole, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0));
  if (base < 0) return undefined; // MAP_FAILED is -1
  const start = Math.ceil(base / HUGE_PAGE) * HUGE_PAGE;
  unmap(base, start - base);
  unmap(start + size, base + whole - (start + size));
  libc.madvise(pointerAt(start), size, MADV_HUGEPAGE); // advice: nothing is lost when it is refused
  return pointerAt(start);
}

function unmap(address: number, bytes: number) {
  if (bytes > 0) invariant(libc.munmap(pointerAt(address), bytes) === 0, "munmap failed");
}

/** The address `bytes` further on. */
export const offsetBy = (pointer: Pointer, bytes: number) => pointerAt(pointer + bytes);

/**
 * Bytes of native memory as an ArrayBuffer, without a copy: at most 4 GiB, and only while the block is live.
 * Its typed arrays never move, unlike small typed arrays of the JS heap, whose address must not be kept.
 */
export const viewBytes = (pointer: Pointer, bytes: number): ArrayBuffer =>
  toArrayBuffer(pointer, 0, bytes);

/** Copies a typed array (of the JS heap or of a mapped file) into native memory. */
export function copyIn(to: Pointer, from: NodeJS.TypedArray) {
  // The array itself is passed: an address taken beforehand could be stale by the time of the call.
  libc.memcpy(to, from, from.byteLength);
}

/** Copies native memory into a typed array, filling it. */
export function copyOut(to: NodeJS.TypedArray, from: Pointer) {
  libc.memcpy(to, from, to.byteLength);
}

/** Copies between native blocks that do not overlap. */
export function copyNative(to: Pointer, from: Pointer, bytes: number) {
  libc.memcpy(to, from, bytes);
}

/** Sets bytes to zero. */
export function zeroNative(to: Pointer, bytes: number) {
  libc.memset(to, 0, bytes);
}

const MADV_DONTNEED = 4;
const PAGE = 4096;

/**
 * Gives whole pages of a mapped file back to the system: they are read again from the file where they are needed again. Leaves other
 * memory, and pages that a write may have made the process's own, as they are.
 */
export function dropFilePages(from: Pointer, bytes: number) {
  const start = Math.ceil(from / PAGE) * PAGE;
  const end = Math.floor((from + bytes) / PAGE) * PAGE;
  if (end > start && isOfFile(start, end))
    libc.madvise(pointerAt(start), end - start, MADV_DONTNEED);
}

/** Whether [start, end) lies in one mapping of a file, and no page of it is a copy that a write has made. */
function isOfFile(start: number, end: number): boolean {
  const maps = readFileSync("/proc/self/maps", "utf8");
  for (const [, low, high, access] of maps.matchAll(/^(\w+)-(\w+) (\S{4}) .* \//gm)) {
    const within =
      Number.parseInt(low ?? "", 16) <= start && end <= Number.parseInt(high ?? "", 16);
    if (within) return access?.[3] === "s" || !hasCopies(start, end);
  }
  return false;
}

/** Bits of the highest byte of a page's entry in /proc/self/pagemap: in memory, in swap, of a file or shared. */
const [PRESENT, SWAPPED, OF_FILE] = [0x80, 0x40, 0x20];
const ENTRY = 8;

/** Whether a page of a private mapping is the process's own. */
function hasCopies(start: number, end: number): boolean {
  const entries = new Uint8Array(((end - start) / PAGE) * ENTRY);
  const file = openSync("/proc/self/pagemap", "r");
  const read = readSync(file, entries, 0, entries.length, (start / PAGE) * ENTRY);
  closeSync(file);
  if (read < entries.length) return true;
  for (let i = ENTRY - 1; i < read; i += ENTRY) {
    const bits = entries[i]!;
    if ((bits & (PRESENT | SWAPPED)) !== 0 && (bits & OF_FILE) === 0) return true;
  }
  return false;
}
