import { CudaBuffer } from "./buffer.ts";
import type { DevicePool } from "./pool.ts";

/**
 * One buffer of floats, of at least the requested length, reallocated without its contents to grow:
 * kernels that are queued may still use the old one, since later work runs after them. `onGrown`
 * gets each new buffer. Throws E_MEMORY, and then has no buffer.
 */
export function growingBuffer(
  pool: Pick<DevicePool, "alloc" | "free">,
  onGrown: (buffer: CudaBuffer) => void = () => {},
): (floats: number) => CudaBuffer {
  let buffer: CudaBuffer | undefined;
  return (floats) => {
    if (buffer !== undefined && buffer.length >= floats) return buffer;
    const old = buffer;
    buffer = undefined;
    if (old !== undefined) pool.free(old.pointer, 4 * old.length);
    buffer = new CudaBuffer("f32", floats, pool.alloc(4 * floats));
    onGrown(buffer);
    return buffer;
  };
}
