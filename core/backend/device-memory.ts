import type { MemoryModel } from "../device.ts";
import { type CountedBackend, createCountingBackend, elementBytes } from "./counting.ts";
import { placedBlocks } from "./placed-blocks.ts";

/** How a device with memory of its own uses it. */
export interface DeviceMemoryOptions {
  /** Bytes that it needs besides buffers: context, code, workspaces of libraries. */
  readonly overhead: number;
  /** Blocks begin at multiples of this many bytes; default 256, what CUDA's own allocator keeps. */
  readonly alignment?: number;
}

/**
 * Models a device that keeps everything in memory of its own: one reserved range in which weights,
 * copied from their file in the run's dtype, and buffers get the lowest block that fits. Data sets
 * stay with the host.
 */
export function createDeviceMemoryModel(
  counted: CountedBackend,
  { overhead, alignment = 256 }: DeviceMemoryOptions,
): MemoryModel {
  const counting = createCountingBackend(counted);
  const blocks = placedBlocks(counting, alignment);
  return {
    ...counting,
    ...blocks.entries,
    adopt(stored, dtype) {
      const buffer = counting.adopt(stored, dtype);
      blocks.place(buffer.length * elementBytes[dtype]);
      return buffer;
    },
    peakBytes: () => overhead + blocks.reached(),
  };
}
