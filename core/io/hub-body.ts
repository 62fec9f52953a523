import { type AdaloraError, errors } from "../errors.ts";

/** What a JSON answer of the hub may take. */
export interface BodyLimits {
  readonly bytes: number;
  /** Longest time without data, in milliseconds; the whole body may take 4 times as long. */
  readonly timeout: number;
}

interface ChunkReader {
  read(): Promise<{ value?: Uint8Array | undefined }>;
}

/** The next chunk of a body; undefined at its end. Throws a TimeoutError when none arrives in time. */
export async function readChunk(
  reader: ChunkReader,
  timeout: number,
): Promise<Uint8Array | undefined> {
  const stalled = Promise.withResolvers<never>();
  const timer = setTimeout(() => stalled.reject(new DOMException("", "TimeoutError")), timeout);
  try {
    const { value } = await Promise.race([reader.read(), stalled.promise]);
    return value;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The response with its body read, within limits. Throws an AdaloraError naming `where` for a longer
 * body, a TimeoutError for a slower one.
 */
export async function withReadBody(
  response: Response,
  limits: BodyLimits,
  where: string,
): Promise<Response> {
  const body = await readBody(response, limits, () =>
    errors.hub(where, `an answer has more than ${limits.bytes} bytes`),
  );
  const { status, headers } = response;
  const kept = new Headers(headers);
  for (const name of ["Content-Encoding", "Content-Length"]) kept.delete(name);
  return new Response(body, { status, headers: kept });
}

/**
 * The bytes of a body, within limits. Throws the error that `tooLong` makes for a longer body, a
 * TimeoutError for a slower one.
 */
export async function readBody(
  response: Response,
  { bytes: limit, timeout }: BodyLimits,
  tooLong: () => AdaloraError,
): Promise<Buffer<ArrayBuffer>> {
  const reader = response.body?.getReader();
  const chunks: Uint8Array[] = [];
  const deadline = performance.now() + 4 * timeout;
  let size = 0;
  try {
    for (;;) {
      const left = Math.min(timeout, deadline - performance.now());
      const chunk = reader && (await readChunk(reader, Math.max(0, left)));
      if (chunk === undefined) break;
      size += chunk.length;
      if (size > limit) throw tooLong();
      chunks.push(chunk);
    }
  } finally {
    await reader?.cancel().catch(() => undefined);
  }
  return Buffer.concat(chunks);
}
