import { type Pointer, toArrayBuffer } from "bun:ffi";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { libc, pointerAt } from "./libc.ts";

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
  if (end > start && isMappedFile(start, end))
    libc.madvise(pointerAt(start), end - start, MADV_DONTNEED);
}

/** Whether [start, end) lies in one mapping of a file, and no page of it is a copy that a write has made. */
function isMappedFile(start: number, end: number): boolean {
  const maps = readFileSync("/proc/self/maps", "utf8");
  for (const [, low, high, access] of maps.matchAll(/^(\w+)-(\w+) (\S{4}) .* \//gm)) {
    const within =
      Number.parseInt(low ?? "", 16) <= start && end <= Number.parseInt(high ?? "", 16);
    if (within) return access?.[3] === "s" || !hasPrivateCopies(start, end);
  }
  return false;
}

/** Bits of the highest byte of a page's entry in /proc/self/pagemap: in memory, in swap, of a file or shared. */
const [PRESENT, SWAPPED, OF_FILE] = [0x80, 0x40, 0x20];
const ENTRY = 8;

/** Whether a page of a private mapping is the process's own. */
function hasPrivateCopies(start: number, end: number): boolean {
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
