import { type Pointer, toArrayBuffer } from "bun:ffi";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { libc, pointerAt } from "./libc.ts";

/** The address `bytes` after `pointer`. */
export const offsetBy = (pointer: Pointer, bytes: number) => pointerAt(pointer + bytes);

/**
 * Views native memory as an ArrayBuffer without a copy: at most 4 GiB, valid while the block is
 * live. Its typed arrays never move, unlike small typed arrays in the JS heap, whose address must
 * not be kept.
 */
export const viewBytes = (pointer: Pointer, bytes: number): ArrayBuffer =>
  bytes === 0 ? new ArrayBuffer() : toArrayBuffer(pointer, 0, bytes); // Bun refuses 0

/** Copies a typed array (of the JS heap or of a mapped file) into native memory. */
export function copyIn(to: Pointer, from: NodeJS.TypedArray) {
  // Passes the array itself: an address taken earlier could be stale.
  libc.memcpy(to, from, from.byteLength);
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
 * Releases whole pages of a mapped file, to be read from the file again when next used. Leaves
 * other memory and private copies of pages (after writes) unchanged.
 */
export function dropFilePages(from: Pointer, bytes: number) {
  const start = Math.ceil(from / PAGE) * PAGE;
  const end = Math.floor((from + bytes) / PAGE) * PAGE;
  if (end > start && isMappedFile(start, end))
    libc.madvise(pointerAt(start), end - start, MADV_DONTNEED);
}

/** Whether [start, end) lies in one file mapping with no private copies of pages. */
function isMappedFile(start: number, end: number): boolean {
  const maps = readFileSync("/proc/self/maps", "utf8");
  for (const [, low, high, access] of maps.matchAll(/^(\w+)-(\w+) (\S{4}) .* \//gm)) {
    const within =
      Number.parseInt(low ?? "", 16) <= start && end <= Number.parseInt(high ?? "", 16);
    if (within) return access?.[3] === "s" || !hasPrivateCopies(start, end);
  }
  return false;
}

/**
 * Bits of the highest byte of a page's entry in /proc/self/pagemap: present, swapped, file-backed
 * or shared.
 */
const [PRESENT, SWAPPED, OF_FILE] = [0x80, 0x40, 0x20];
const ENTRY = 8;

/** Whether a private mapping has copies of pages made by writes. */
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
