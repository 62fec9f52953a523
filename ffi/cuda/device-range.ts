import { ABI } from "./abi.ts";
import { closeAll } from "./close-all.ts";
import type { CudaContext } from "./context.ts";
import { type Driver, out, outAddress } from "./driver.ts";

/** A range of device addresses, backed by memory from its start on as far as it is needed. */
export interface DeviceRange {
  /** The end of what is backed; 0 before the first part is. */
  readonly end: number;
  /** Bytes that are backed. */
  readonly bytes: number;
  /** Backs at least the next `bytes`; returns what it added, undefined if the device lacks it. */
  back(bytes: number): { readonly start: number; readonly bytes: number } | undefined;
  /** Bytes of memory that the device has free. */
  freeBytes(): number;
  close(): void;
}

/** Increment in which the range is backed by memory. */
const STEP = 64 * 2 ** 20;

/** What cuMemCreate and cuMemSetAccess read. */
function structsFor(device: number) {
  const place = [ABI.CU_MEM_LOCATION_TYPE_DEVICE, device]; // struct CUmemLocation
  const properties = new Int32Array(new ArrayBuffer(ABI["sizeof CUmemAllocationProp"]));
  properties.set([ABI.CU_MEM_ALLOCATION_TYPE_PINNED, 0, ...place]); // type, handle types, location
  const access = Int32Array.from([...place, ABI.CU_MEM_ACCESS_FLAGS_PROT_READWRITE]);
  return { properties, access };
}

/** Reserves, at its first use, as many addresses as the device has memory. */
export function deviceRange({ driver, device, totalBytes }: CudaContext): DeviceRange {
  const structs = structsFor(device);
  const least = ABI.CU_MEM_ALLOC_GRANULARITY_MINIMUM;
  driver.call("cuMemGetAllocationGranularity", undefined, out, structs.properties, least);
  const granule = outAddress();
  const parts: { start: number; bytes: number; handle: number }[] = [];
  let range: { start: number; end: number; limit: number } | undefined;

  function reserve() {
    const bytes = rounded(totalBytes, granule);
    driver.call("cuMemAddressReserve", `${bytes} bytes`, out, bytes, 0, 0, 0);
    const start = outAddress();
    return { start, end: start, limit: start + bytes };
  }

  function backExactly(bytes: number) {
    range ??= reserve();
    const start = range.end;
    if (start + bytes > range.limit) return undefined;
    const handle = mapMemory(driver, start, bytes, structs);
    if (handle === undefined) return undefined;
    parts.push({ start, bytes, handle });
    range.end += bytes;
    return { start, bytes };
  }

  return {
    get end() {
      return range?.end ?? 0;
    },
    get bytes() {
      return range ? range.end - range.start : 0;
    },
    back: (bytes) =>
      backExactly(rounded(bytes, rounded(STEP, granule))) ?? backExactly(rounded(bytes, granule)),
    freeBytes() {
      const total = new BigUint64Array(new ArrayBuffer(8));
      driver.call("cuMemGetInfo_v2", undefined, out, total);
      return outAddress();
    },
    close() {
      const reserved = range;
      range = undefined;
      const unmap = parts
        .splice(0)
        .flatMap(({ start, bytes, handle }) => [
          () => driver.call("cuMemUnmap", undefined, start, bytes),
          () => driver.call("cuMemRelease", undefined, handle),
        ]);
      closeAll([...unmap, () => release(reserved)]);
    },
  };

  function release({ start, limit } = { start: 0, limit: 0 }) {
    if (limit > 0) driver.call("cuMemAddressFree", undefined, start, limit - start);
  }
}

/** Maps memory at an address; returns its handle, undefined if the device lacks it. */
function mapMemory(
  driver: Driver,
  start: number,
  bytes: number,
  { properties, access }: ReturnType<typeof structsFor>,
): number | undefined {
  const { symbols } = driver;
  /** Whether the device lacks memory, also for its page tables. Throws any other error. */
  function lacksMemory(status: number, call: "cuMemCreate" | "cuMemMap" | "cuMemSetAccess") {
    if (status === ABI.CUDA_ERROR_OUT_OF_MEMORY) return true;
    driver.check(status, call, `${bytes} bytes`);
    return false;
  }
  const created = symbols.cuMemCreate(out, bytes, properties, 0);
  if (lacksMemory(created, "cuMemCreate")) return undefined;
  const handle = outAddress();
  const mapped = symbols.cuMemMap(start, bytes, 0, handle, 0);
  if (mapped !== ABI.CUDA_SUCCESS) symbols.cuMemRelease(handle);
  if (lacksMemory(mapped, "cuMemMap")) return undefined;
  const opened = symbols.cuMemSetAccess(start, bytes, access, 1);
  if (opened !== ABI.CUDA_SUCCESS) {
    symbols.cuMemUnmap(start, bytes);
    symbols.cuMemRelease(handle);
  }
  return lacksMemory(opened, "cuMemSetAccess") ? undefined : handle;
}

/** The next multiple of `unit`. */
function rounded(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}
