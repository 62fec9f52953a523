/** The type of a buffer's elements. Only the reference backend has "f64". */
export type DType = "f64" | "f32" | "bf16" | "i32";

/** Storage on a device. It is opaque: the host reads its elements with `download` only. */
export interface Buffer {
  readonly dtype: DType;
  /** Elements, not bytes. */
  readonly length: number;
  /** References to a buffer that a tape owns: see core/references.ts. Backends ignore it. */
  references?: number;
}

/** The elements of a buffer on the host. */
export type HostArray = Float64Array | Float32Array | Int32Array;

/** A tensor as a checkpoint stores it; `bytes` may be a view of a mapped file. */
export interface HostTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Allocation and transfers. */
export interface MemoryKernels {
  /** The contents are undefined. */
  alloc(dtype: DType, length: number): Buffer;
  free(buffer: Buffer): void;
  /**
   * A part of `buffer` that shares its storage. A view is never freed on its own. It may begin at
   * any element: trained values are views of an arena, E's of odd rank among them, so a kernel may
   * assume no more alignment than an element's, and not the same of all its operands.
   */
  view(buffer: Buffer, offset: number, length: number): Buffer;
  zero(buffer: Buffer): void;
  copy(to: Buffer, from: Buffer): void;
  upload(to: Buffer, from: ArrayLike<number>): void;
  download(from: Buffer): HostArray;
  /**
   * Starts to copy a buffer to the host and returns a function that waits for the copy, which holds
   * the values of the time of the call: work that is queued after it neither changes nor delays it.
   * For devices that work while the host continues; see `core/backend/start-download.ts`.
   */
  startDownload?(from: Buffer): () => HostArray;
  /**
   * A read-only buffer with a checkpoint's tensor: its bytes in place where dtype and alignment
   * allow, otherwise a converted copy.
   */
  adopt(tensor: HostTensor, dtype: DType): Buffer;
  /**
   * Bytes allocated and not yet freed, without adopted weights, and their peak so far. `reserved`:
   * what it has taken of a device's own memory, weights and free blocks included.
   */
  memory(): { readonly live: number; readonly peak: number; readonly reserved?: number };
}
