import type { Backend } from "../../core/backend.ts";

/** What the host did: it queued kernels, started a download, or waited for one. */
export type HostEvent =
  | { readonly what: "start" | "download" }
  /** `queued`: kernel calls since the download was started. */
  | { readonly what: "wait"; readonly queued: number };

/**
 * Wraps `backend` as a device that works while the host continues: `startDownload` returns at once,
 * and what it returns waits. Records starts, waits and downloads, which wait at once.
 */
export function late(inner: Backend): { backend: Backend; events: HostEvent[] } {
  const events: HostEvent[] = [];
  let kernels = 0;
  const startDownload: Backend["startDownload"] = (from) => {
    const values = inner.download(from);
    const before = kernels;
    events.push({ what: "start" });
    return () => {
      events.push({ what: "wait", queued: kernels - before });
      return values;
    };
  };
  const backend = new Proxy(inner, {
    get(target, key, receiver) {
      if (key === "startDownload") return startDownload;
      const entry: unknown = Reflect.get(target, key, receiver);
      if (typeof entry !== "function") return entry;
      return (...args: unknown[]): unknown => {
        if (key === "download") events.push({ what: "download" });
        else kernels++;
        return Reflect.apply(entry, target, args);
      };
    },
  });
  return { backend, events };
}
