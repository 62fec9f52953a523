import type { Backend, Buffer } from "../../core/backend.ts";

/**
 * Wraps `backend` as if its memory were on another device: buffers have a dtype, a length and a
 * tape's references, any other access throws. Counts downloads.
 */
export function guarded(backend: Backend): { backend: Backend; downloads(): number } {
  const inner = new WeakMap<object, Buffer>();
  let downloads = 0;

  function wrap(buffer: Buffer): Buffer {
    const shown: Buffer = { dtype: buffer.dtype, length: buffer.length };
    const keys = new Set<string | symbol>(["dtype", "length", "references"]);
    const opaque = new Proxy(shown, {
      get(target, key) {
        if (keys.has(key)) return Reflect.get(target, key);
        throw new Error(`a device buffer has no ${String(key)} for the host`);
      },
      has: (_, key) => refuse(`looked for ${String(key)}`),
      ownKeys: () => refuse("was listed"),
      set: (target, key, value) =>
        key === "references" ? Reflect.set(target, key, value) : refuse(`was given ${String(key)}`),
    });
    inner.set(opaque, buffer);
    return opaque;
  }

  /** Replaces guarded buffers by the real ones, also inside shapes and groups of buffers. */
  function unwrap(value: unknown): unknown {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
    const buffer = inner.get(value);
    if (buffer) return buffer;
    if (Array.isArray(value)) return value.map(unwrap);
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, unwrap(part)]));
  }

  const guard = new Proxy(backend, {
    get(target, key, receiver) {
      const entry: unknown = Reflect.get(target, key, receiver);
      if (typeof entry !== "function") return entry;
      return (...args: unknown[]) => {
        if (key === "download" || key === "startDownload") downloads++;
        const result: unknown = Reflect.apply(entry, target, args.map(unwrap));
        const made = key === "alloc" || key === "view" || key === "adopt";
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what these three return
        return made ? wrap(result as Buffer) : result;
      };
    },
  });
  return { backend: guard, downloads: () => downloads };
}

function refuse(what: string): never {
  throw new Error(`a device buffer ${what} on the host`);
}
