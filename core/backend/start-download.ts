import type { Backend, Buffer, HostArray } from "../backend.ts";

/**
 * Starts to copy a buffer to the host; the function that it returns waits for the copy. A backend
 * without `startDownload` waits at once.
 */
export function startDownload(backend: Backend, from: Buffer): () => HostArray {
  const started = backend.startDownload?.(from);
  if (started !== undefined) return started;
  const values = backend.download(from);
  return () => values;
}
