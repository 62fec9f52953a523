import { CudaBuffer } from "./buffer.ts";
import type { DevicePool } from "./pool.ts";
import type { Staging } from "./staging.ts";

/** Tables that are kept: a training step has three, and they seldom change. */
const KEPT = 8;

interface Table {
  readonly bytes: Uint8Array;
  readonly buffer: CudaBuffer;
}

/**
 * Uploads small tables, each to a buffer of its own. One that equals a table of the last few is on
 * the device already. The oldest is freed for a new one: kernels that are queued still read it,
 * since the upload to whatever takes its place runs after them.
 */
export function tableCache(
  pool: DevicePool,
  staging: Staging,
): (values: ArrayBufferView<ArrayBuffer>) => CudaBuffer {
  const tables: Table[] = [];
  return ({ buffer, byteOffset, byteLength }) => {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    const found = tables.findIndex((table) => Buffer.compare(table.bytes, bytes) === 0);
    const kept = found < 0 ? added(bytes) : tables.splice(found, 1)[0]!;
    tables.push(kept); // the most recent is the last
    return kept.buffer;
  };

  function added(bytes: Uint8Array): Table {
    const oldest = tables.length < KEPT ? undefined : tables.shift();
    if (oldest !== undefined) pool.free(oldest.buffer.pointer, oldest.bytes.length);
    const pointer = pool.alloc(bytes.length);
    staging.upload(pointer, bytes.length, (part, first) =>
      part.set(bytes.subarray(first, first + part.length)),
    );
    return {
      bytes: bytes.slice(),
      buffer: new CudaBuffer("i32", Math.ceil(bytes.length / 4), pointer),
    };
  }
}
