import { FreeSpace } from "../../core/backend/free-space.ts";
import { errors, invariant } from "../../core/errors.ts";
import { ABI } from "./abi.ts";
import { closeAll } from "./close-all.ts";
import type { CudaContext } from "./context.ts";
import { out, outAddress } from "./driver.ts";

/** Device memory for all buffers of a backend. */
export interface DevicePool {
  /** Allocates at least `bytes`, aligned to 256 bytes and uninitialised. Throws E_MEMORY. */
  alloc(bytes: number): number;
  /** Frees a block. Kernels that are queued may still use it: later ones run after them. */
  free(pointer: number): void;
  /** Bytes of live blocks. */
  readonly liveBytes: number;
  /** Gives all memory back to the device. */
  close(): void;
}

/** Blocks begin at multiples of this: what cuBLAS takes as aligned, and a whole cache line. */
const ALIGNMENT = 256;

/** The size of a block that holds `bytes`. */
export const blockSize = (bytes: number) => Math.max(Math.ceil(bytes / ALIGNMENT), 1) * ALIGNMENT;

/** Increment in which the range is backed by memory. */
const STEP = 64 * 2 ** 20;

/**
 * One reserved range of addresses, as large as the device's memory, backed by memory as it is
 * needed. One compute stream orders all work, so that a freed block may be used again at once.
 */
export function devicePool({ driver, device, totalBytes }: CudaContext): DevicePool {
  const place = [ABI.CU_MEM_LOCATION_TYPE_DEVICE, device]; // struct CUmemLocation
  const properties = new Int32Array(new ArrayBuffer(ABI["sizeof CUmemAllocationProp"]));
  properties.set([ABI.CU_MEM_ALLOCATION_TYPE_PINNED, 0, ...place]); // type, handle types, location
  const access = Int32Array.from([...place, ABI.CU_MEM_ACCESS_FLAGS_PROT_READWRITE]);
  const least = ABI.CU_MEM_ALLOC_GRANULARITY_MINIMUM;
  driver.call("cuMemGetAllocationGranularity", undefined, out, properties, least);
  const granule = outAddress();
  const step = Math.ceil(STEP / granule) * granule;
  const space = new FreeSpace();
  const sizes = new Map<number, number>();
  const parts: { start: number; bytes: number; handle: number }[] = [];
  let range: { start: number; end: number; limit: number } | undefined;
  let live = 0;

  function reserve() {
    const bytes = Math.ceil(totalBytes / granule) * granule;
    driver.call("cuMemAddressReserve", `${bytes} bytes`, out, bytes, 0, 0, 0);
    const start = outAddress();
    return { start, end: start, limit: start + bytes };
  }

  /** Backs the next `bytes` of the range; false if the device has too little memory. */
  function back(bytes: number): boolean {
    range ??= reserve();
    if (range.end + bytes > range.limit) return false;
    const status = driver.symbols.cuMemCreate(out, bytes, properties, 0);
    if (status === ABI.CUDA_ERROR_OUT_OF_MEMORY) return false;
    driver.check(status, "cuMemCreate", `${bytes} bytes`);
    const handle = outAddress();
    const mapped = driver.symbols.cuMemMap(range.end, bytes, 0, handle, 0);
    if (mapped !== ABI.CUDA_SUCCESS) driver.symbols.cuMemRelease(handle);
    driver.check(mapped, "cuMemMap");
    parts.push({ start: range.end, bytes, handle });
    driver.call("cuMemSetAccess", undefined, range.end, bytes, access, 1);
    space.give(range.end, bytes);
    range.end += bytes;
    return true;
  }

  function freeBytes(): number {
    const total = new BigUint64Array(new ArrayBuffer(8));
    driver.call("cuMemGetInfo_v2", undefined, out, total);
    return outAddress();
  }

  function extend(bytes: number): boolean {
    const needed = bytes - (range === undefined ? 0 : space.below(range.end));
    const exact = Math.ceil(needed / granule) * granule;
    return back(Math.ceil(needed / step) * step) || back(exact);
  }

  return {
    alloc(bytes) {
      const size = blockSize(bytes);
      const start = space.take(size) ?? (extend(size) ? space.take(size) : undefined);
      if (start === undefined) throw errors.memory(size, live, freeBytes());
      sizes.set(start, size);
      live += size;
      return start;
    },
    free(pointer) {
      const size = sizes.get(pointer);
      invariant(size !== undefined, () => `0x${pointer.toString(16)} is not a live block`);
      sizes.delete(pointer);
      live -= size;
      space.give(pointer, size);
    },
    get liveBytes() {
      return live;
    },
    close() {
      const reserved = range;
      range = undefined;
      closeAll([
        ...parts
          .splice(0)
          .flatMap(({ start, bytes, handle }) => [
            () => driver.call("cuMemUnmap", undefined, start, bytes),
            () => driver.call("cuMemRelease", undefined, handle),
          ]),
        () => {
          if (reserved === undefined) return;
          const { start, limit } = reserved;
          driver.call("cuMemAddressFree", undefined, start, limit - start);
        },
      ]);
    },
  };
}
