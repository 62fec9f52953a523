import type { Backend, Buffer } from "../backend.ts";

/** A buffer that was allocated and not freed. */
export interface LiveBuffer {
  readonly bytes: number;
  /** Has the stack trace of its allocation. */
  readonly allocation: Error;
}

/** A backend that notices how its buffers are used. */
export interface TrackedBackend extends Backend {
  /** Buffers that were allocated and not freed, in order. */
  liveBuffers(): readonly LiveBuffer[];
  /** Downloads so far. */
  downloads(): number;
}

/** A kernel was called with a buffer that has been freed. */
export class FreedBufferError extends Error {
  override readonly name = "FreedBufferError";
  readonly kernel: string;
  /** Has the stack trace of the buffer's allocation; undefined for a weight. */
  readonly allocation: Error | undefined;

  constructor(kernel: string, allocation: Error | undefined) {
    super(`${kernel} was called with a buffer that has been freed`);
    this.kernel = kernel;
    this.allocation = allocation;
  }
}

/**
 * Wraps a backend so that its buffers are opaque, as on a device: the host sees dtype and length
 * only. A call with a freed buffer throws FreedBufferError, where the backend itself may compute
 * with what the memory still holds.
 */
export function createTrackedBackend(backend: Backend): TrackedBackend {
  const buffers = new TrackedBuffers();
  let downloads = 0;
  const own = {
    alloc(dtype: Buffer["dtype"], length: number): Buffer {
      const before = backend.memory().live;
      const inner = backend.alloc(dtype, length);
      return buffers.allocated(inner, backend.memory().live - before);
    },
    free(buffer: Buffer): void {
      const inner = buffers.freed(buffer);
      if (inner) backend.free(inner);
    },
    view(buffer: Buffer, offset: number, length: number): Buffer {
      return buffers.viewed(buffer, (inner) => backend.view(inner, offset, length));
    },
    adopt: (...args: Parameters<Backend["adopt"]>) => buffers.adopted(backend.adopt(...args)),
    liveBuffers: () => buffers.live(),
    downloads: () => downloads,
  };
  const tracked = new Proxy(backend, {
    get(target, key, receiver) {
      if (Object.hasOwn(own, key)) return Reflect.get(own, key);
      const value: unknown = Reflect.get(target, key, receiver);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        if (key === "download" || key === "startDownload") downloads++;
        const inner = args.map((arg) => buffers.unwrap(String(key), arg));
        return Reflect.apply(value, target, inner);
      };
    },
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the proxy adds `own`
  return tracked as TrackedBackend;
}

// --- internal ---

/** What shapes carry along and a kernel does not read: it may have been freed. */
const unread: Readonly<Record<string, string>> = {
  attention: "positions",
  attentionBackward: "positions",
};

interface Entry {
  readonly inner: Buffer;
  /** The entry of the buffer that this one is a view of. */
  readonly root: Entry | undefined;
  readonly allocation: Error | undefined;
  freed: boolean;
}

/** The buffers behind the opaque ones. */
class TrackedBuffers {
  readonly #entries = new WeakMap<object, Entry>();
  readonly #live = new Map<object, LiveBuffer>();

  allocated(inner: Buffer, bytes: number): Buffer {
    const allocation = new Error("allocated here");
    const buffer = this.#wrap({ inner, root: undefined, allocation, freed: false });
    this.#live.set(buffer, { bytes, allocation });
    return buffer;
  }

  adopted(inner: Buffer): Buffer {
    return this.#wrap({ inner, root: undefined, allocation: undefined, freed: false });
  }

  viewed(buffer: Buffer, view: (inner: Buffer) => Buffer): Buffer {
    const entry = this.#entryOf("view", buffer);
    const root = entry.root ?? entry;
    return this.#wrap({ inner: view(entry.inner), root, allocation: undefined, freed: false });
  }

  /** Marks a buffer as freed; returns the one behind it, undefined if it has been freed before. */
  freed(buffer: Buffer): Buffer | undefined {
    const entry = this.#entries.get(buffer);
    if (!entry || entry.freed) return undefined;
    entry.freed = true;
    this.#live.delete(buffer);
    return entry.inner;
  }

  /** The arguments of a kernel with the real buffers, also inside shapes and lists. */
  unwrap(kernel: string, value: unknown): unknown {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
    if (this.#entries.has(value)) return this.#entryOf(kernel, value).inner;
    if (Array.isArray(value)) return value.map((part) => this.unwrap(kernel, part));
    const parts = Object.entries(value).filter(([key]) => unread[kernel] !== key);
    return Object.fromEntries(parts.map(([key, part]) => [key, this.unwrap(kernel, part)]));
  }

  live(): readonly LiveBuffer[] {
    return [...this.#live.values()];
  }

  #wrap(entry: Entry): Buffer {
    const { dtype, length } = entry.inner;
    const buffer: Buffer = { dtype, length };
    this.#entries.set(buffer, entry);
    return buffer;
  }

  #entryOf(kernel: string, buffer: object): Entry {
    const entry = this.#entries.get(buffer);
    if (!entry) throw new Error(`internal: ${kernel} was called with another backend's buffer`);
    const { freed, allocation } = entry.root ?? entry;
    if (freed) throw new FreedBufferError(kernel, allocation);
    return entry;
  }
}
