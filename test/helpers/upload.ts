import type { Backend, Buffer } from "../../core/backend.ts";

/** A new buffer of the master dtype with these values. */
export function masters(backend: Backend, values: ArrayLike<number>): Buffer {
  const buffer = backend.alloc(backend.master, values.length);
  backend.upload(buffer, values);
  return buffer;
}

/** A new i32 buffer with these values. */
export function integers(backend: Backend, values: ArrayLike<number>): Buffer {
  const buffer = backend.alloc("i32", values.length);
  backend.upload(buffer, values);
  return buffer;
}
