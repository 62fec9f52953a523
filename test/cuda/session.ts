import type { CudaBackend } from "../../ffi/cuda/backend.ts";

/** Uses each native function of a backend once or more; returns a sum of what it computes: 39. */
export function session(backend: CudaBackend): number {
  const x = backend.alloc("f32", 16);
  backend.upload(x, new Float32Array(16).fill(3));
  const y = backend.alloc("f32", 16);
  backend.zero(y);
  backend.copy(y, x);
  backend.timer?.mark();
  backend.gemm(x, y, y, { m: 2, n: 2, k: 2, ldc: 4 });
  backend.add(x, y);
  backend.timer?.read([0, backend.timer.mark()]);
  const late = backend.startDownload?.(x);
  const sum = backend.download(y)[0]! + (late?.()[0] ?? 0);
  backend.free(x);
  backend.free(y);
  return sum;
}
