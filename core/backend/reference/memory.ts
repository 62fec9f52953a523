import type { MemoryModel } from "../../device.ts";
import { createCountingBackend, elementBytes } from "../counting.ts";

/** Heaps of Bun and this program, with JavaScript's compiled kernels; no pages of code files. */
const PROGRAM = 96 * 2 ** 20;

/**
 * What the reference backend allocates: weights are widened to f64 beside the pages of their file.
 */
export function referenceMemory(): MemoryModel {
  const counting = createCountingBackend({ activation: "f64", master: "f64" });
  let weights = 0;
  return {
    ...counting,
    adopt(stored, dtype) {
      const buffer = counting.adopt(stored, dtype);
      weights += stored.bytes.byteLength + buffer.length * elementBytes.f64;
      return buffer;
    },
    peakBytes: (hostData) => PROGRAM + weights + counting.memory().peak + hostData,
  };
}
