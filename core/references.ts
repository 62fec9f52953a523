import type { Backend, Buffer } from "./backend.ts";

/** Counts references to the buffers that a tape owns, and frees those that have none. */
export class References {
  readonly #backend: Backend;
  readonly #counts = new Map<Buffer, number>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Allocates a buffer with one reference. */
  allocate(dtype: Buffer["dtype"], length: number): Buffer {
    const buffer = this.#backend.alloc(dtype, length);
    this.#counts.set(buffer, 1);
    return buffer;
  }

  /** Whether a buffer is owned and has one reference. */
  isUnshared(buffer: Buffer): boolean {
    return this.#counts.get(buffer) === 1;
  }

  /** Adds a reference; weights and other buffers that the tape does not own have none. */
  retain(buffer: Buffer): void {
    const count = this.#counts.get(buffer);
    if (count !== undefined) this.#counts.set(buffer, count + 1);
  }

  /** Drops a reference, and frees the buffer with its last one. */
  release(buffer: Buffer): void {
    const count = this.#counts.get(buffer);
    if (count === undefined) return;
    if (count > 1) {
      this.#counts.set(buffer, count - 1);
      return;
    }
    this.#counts.delete(buffer);
    this.#backend.free(buffer);
  }

  /** Gives up a buffer without freeing it. */
  disown(buffer: Buffer): void {
    this.#counts.delete(buffer);
  }

  /** Frees all buffers. */
  freeAll(): void {
    for (const buffer of this.#counts.keys()) this.#backend.free(buffer);
    this.#counts.clear();
  }
}
