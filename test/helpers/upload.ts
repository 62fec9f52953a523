import type { Backend, Buffer } from "../../core/backend.ts";

/** A new buffer of the master type with these numbers. */
export function masters(backend: Backend, numbers: ArrayLike<number>): Buffer {
  const buffer = backend.alloc(backend.master, numbers.length);
  backend.upload(buffer, numbers);
  return buffer;
}

/** A new buffer of whole numbers. */
export function integers(backend: Backend, numbers: ArrayLike<number>): Buffer {
  const buffer = backend.alloc("i32", numbers.length);
  backend.upload(buffer, numbers);
  return buffer;
}
