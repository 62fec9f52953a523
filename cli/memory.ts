import type { RunNeeds } from "../core/run/needs.ts";
import { byteSize } from "./byte-size.ts";

/** A warning where a run may need more memory than `available` bytes. */
export function memoryWarning(
  { memory }: Pick<RunNeeds, "memory">,
  available: number,
): string | undefined {
  if (memory <= available) return undefined;
  const [need, free] = [byteSize(memory), byteSize(available)];
  return `the run may need ${need} of memory, but only ${free} are free: a smaller --batch-size needs less`;
}
