import type { Backend, Buffer } from "./backend.ts";

/**
 * Counts references to the buffers that a tape owns, in their field `references`, and frees a buffer
 * with its last one.
 */
export class References {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Allocates a buffer with one reference. */
  allocate(dtype: Buffer["dtype"], length: number): Buffer {
    const buffer = this.#backend.alloc(dtype, length);
    buffer.references = 1;
    return buffer;
  }

  /** Whether a buffer is owned and has one reference. */
  isUnshared(buffer: Buffer): boolean {
    return buffer.references === 1;
  }

  /** Adds a reference; weights and other buffers that no tape owns have none. */
  retain(buffer: Buffer): void {
    if (buffer.references) buffer.references++;
  }

  /** Drops a reference, and frees the buffer with its last one. */
  release(buffer: Buffer): void {
    const { references } = buffer;
    if (!references) return;
    buffer.references = references - 1;
    if (references === 1) this.#backend.free(buffer);
  }

  /** Gives up a buffer without freeing it. */
  disown(buffer: Buffer): void {
    buffer.references = 0;
  }
}
