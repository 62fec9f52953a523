import type { Pointer } from "bun:ffi";
import { viewBytes } from "../memory.ts";
import { ABI } from "./abi.ts";
import { closeAll } from "./close-all.ts";
import type { CudaContext } from "./context.ts";
import { out, outHandle } from "./driver.ts";

/** Copies between host and device through pinned memory, on the compute stream. */
export interface Staging {
  /**
   * Queues an upload of `bytes`. `fill` writes bytes first .. first + part.length - 1 of them to
   * `part`: once, or in parts of a multiple of 8 bytes.
   */
  upload(to: number, bytes: number, fill: (part: Uint8Array, first: number) => void): void;
  /** Waits for all queued work and returns a copy of `bytes` of device memory. */
  download(from: number, bytes: number): Uint8Array;
  /** Starts to copy `bytes`; the function that it returns waits for that copy alone. */
  startDownload(from: number, bytes: number): () => Uint8Array;
  /** Waits for all queued work. */
  wait(): void;
  close(): void;
}

/** Bytes of each half of the upload block. */
const HALF = 4 * 2 ** 20;
/** Bytes of the download block. */
const WINDOW = 4 * 2 ** 20;

/** A pinned block with an event. */
interface Slot {
  readonly pointer: Pointer;
  readonly bytes: Uint8Array;
  readonly event: Pointer;
}

/** Allocates pinned blocks, and frees all of them. */
function pinnedSlots({ driver }: CudaContext) {
  const slots: Slot[] = [];
  return {
    make(bytes: number): Slot {
      driver.call("cuMemHostAlloc", `${bytes} bytes`, out, bytes, 0);
      const pointer = outHandle();
      const status = driver.symbols.cuEventCreate(out, ABI.CU_EVENT_DISABLE_TIMING);
      if (status !== ABI.CUDA_SUCCESS) driver.symbols.cuMemFreeHost(pointer);
      driver.check(status, "cuEventCreate");
      const event = outHandle();
      const made = { pointer, bytes: new Uint8Array(viewBytes(pointer, bytes)), event };
      slots.push(made);
      return made;
    },
    close() {
      closeAll(
        slots
          .splice(0)
          .flatMap(({ pointer, event }) => [
            () => driver.call("cuEventDestroy_v2", undefined, event),
            () => driver.call("cuMemFreeHost", undefined, pointer),
          ]),
      );
    },
  };
}

/** Opens the pinned blocks, each at its first use. */
export function openStaging(context: CudaContext): Staging {
  const { driver, stream } = context;
  const slots = pinnedSlots(context);
  const slot = (bytes: number) => slots.make(bytes);
  const wait = () => driver.call("cuStreamSynchronize", undefined, stream);
  const uploadPart = uploads(slot, driver, stream);
  let window: Slot | undefined;
  /** Slots of downloads that have been read. */
  const free: Slot[] = [];

  return {
    upload(to, bytes, fill) {
      for (let first = 0; first < bytes; first += HALF)
        uploadPart(to + first, Math.min(HALF, bytes - first), (part) => fill(part, first));
    },
    download(from, bytes) {
      window ??= slot(WINDOW);
      const result = new Uint8Array(new ArrayBuffer(bytes));
      for (let first = 0; first < bytes; first += WINDOW) {
        const count = Math.min(WINDOW, bytes - first);
        driver.call("cuMemcpyDtoHAsync_v2", undefined, window.pointer, from + first, count, stream);
        wait();
        result.set(window.bytes.subarray(0, count), first);
      }
      return result;
    },
    startDownload(from, bytes) {
      const at = free.findIndex((each) => each.bytes.length >= bytes);
      const used = at < 0 ? slot(bytes) : free.splice(at, 1)[0]!;
      driver.call("cuMemcpyDtoHAsync_v2", undefined, used.pointer, from, bytes, stream);
      driver.call("cuEventRecord", undefined, used.event, stream);
      let result: Uint8Array | undefined;
      return () => {
        if (result !== undefined) return result;
        driver.call("cuEventSynchronize", undefined, used.event);
        result = used.bytes.slice(0, bytes);
        free.push(used);
        return result;
      };
    },
    wait,
    close: () => slots.close(),
  };
}

/**
 * Uploads through two halves of pinned memory in turn. Before one is written again, its event tells
 * that the copies from it have run.
 */
function uploads(
  slot: (bytes: number) => Slot,
  driver: CudaContext["driver"],
  stream: Pointer,
): (to: number, bytes: number, fill: (part: Uint8Array) => void) => void {
  let halves: { current: Slot; other: Slot; otherUsed: boolean } | undefined;
  let used = 0;

  return (to, bytes, fill) => {
    halves ??= { current: slot(HALF), other: slot(HALF), otherUsed: false };
    if (used + bytes > HALF) {
      const { current, other, otherUsed } = halves;
      driver.call("cuEventRecord", undefined, current.event, stream);
      if (otherUsed) driver.call("cuEventSynchronize", undefined, other.event);
      halves = { current: other, other: current, otherUsed: true };
      used = 0;
    }
    const { pointer, bytes: block } = halves.current;
    const at = used;
    fill(block.subarray(at, at + bytes));
    used += Math.ceil(bytes / 8) * 8;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an address within the block
    const from = (pointer + at) as Pointer;
    driver.call("cuMemcpyHtoDAsync_v2", undefined, to, from, bytes, stream);
  };
}
