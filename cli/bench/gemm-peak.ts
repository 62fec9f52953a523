import type { Backend } from "../../core/backend.ts";
import { elapsedSeconds } from "./elapsed.ts";

/** Sizes of a feed-forward product over 4096 tokens. */
const [M, K, N] = [4096, 768, 3072];

/** Measured peak: operations per second of the fastest of several large products of activations. */
export function gemmPeak(backend: Backend, tries: number): number {
  const allocate = (length: number) => backend.alloc(backend.activation, length);
  const [a, b, c] = [allocate(M * K), allocate(K * N), allocate(M * N)];
  for (const operand of [a, b]) backend.upload(operand, ramp(operand.length));
  let best = Infinity;
  for (let i = 0; i < tries; i++) {
    const product = () => backend.gemm(a, b, c, { m: M, n: N, k: K, transB: true });
    best = Math.min(best, elapsedSeconds(backend, product));
  }
  for (const buffer of [a, b, c]) backend.free(buffer);
  return (2 * M * N * K) / best;
}

// --- internal ---

/** Values from -0.5 to 0.5: none slows a processor down, as denormal numbers would. */
function ramp(length: number): Float32Array {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = (i % 251) / 250 - 0.5;
  return values;
}
