import type { Backend } from "../../core/backend.ts";

/**
 * Wraps `backend` to call `onCall(name)` before each entry; `composed`: also before those that an
 * entry is composed of.
 */
export function watched(
  backend: Backend,
  onCall: (name: string) => void,
  { composed = true } = {},
): Backend {
  return new Proxy(backend, {
    get(target, key, receiver) {
      const entry: unknown = Reflect.get(target, key, receiver);
      if (typeof entry !== "function") return entry;
      return (...args: unknown[]) => {
        onCall(String(key));
        return Reflect.apply(entry, composed ? receiver : target, args);
      };
    },
  });
}

/** Wraps `backend` to count the calls of each entry. */
export function counted(backend: Backend): {
  backend: Backend;
  calls: (name: keyof Backend) => number;
  reset: () => void;
} {
  const calls = new Map<string, number>();
  return {
    backend: watched(backend, (name) => calls.set(name, (calls.get(name) ?? 0) + 1)),
    calls: (name) => calls.get(name) ?? 0,
    reset: () => calls.clear(),
  };
}
