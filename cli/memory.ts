import type { DeviceMemory } from "../core/device.ts";
import type { RunNeeds } from "../core/run/needs.ts";
import { byteSize } from "./byte-size.ts";

/**
 * A warning where a run may need more memory than `device` has free; undefined where it fits, or
 * where the device's memory is unknown.
 */
export function memoryWarning(
  { memory }: Pick<RunNeeds, "memory">,
  device: DeviceMemory | undefined,
): string | undefined {
  if (device === undefined || memory <= device.free) return undefined;
  const [need, free] = [byteSize(memory), byteSize(device.free)];
  const what = device.kind === "own" ? "the device's memory" : "memory";
  return `the run may need ${need} of ${what}, but only ${free} are free: a smaller --batch-size needs less`;
}
