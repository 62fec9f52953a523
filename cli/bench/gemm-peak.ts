import type { Backend } from "../../core/backend.ts";

/** Sizes of a feed-forward product over 4096 tokens, and how often it is timed. */
const [M, K, N, TRIES] = [4096, 768, 3072, 12];

/** Measured peak: operations per second of the fastest of several large products of activations. */
export function gemmPeak(backend: Backend): number {
  const [a, b, c] = [M * K, K * N, M * N].map((length) => {
    const buffer = backend.alloc(backend.activation, length);
    backend.upload(
      buffer,
      Float32Array.from({ length }, (_, i) => Math.sin(i)),
    );
    return buffer;
  });
  let best = Infinity;
  for (let i = 0; i < TRIES; i++) {
    const start = performance.now();
    backend.gemm(a!, b!, c!, { m: M, n: N, k: K, transB: true });
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  for (const buffer of [a!, b!, c!]) backend.free(buffer);
  return (2 * M * N * K) / best;
}
