import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { KeyValueCache } from "../../../core/nn/key-value-cache.ts";
import { masters } from "../../helpers/upload.ts";

/**
 * Hypotheses as strings; the key of a token is its character code, at width 2, so that rows cannot
 * be confused.
 */
function texts(cache: KeyValueCache, download: (layer: number) => ArrayLike<number>): string[] {
  const values = download(1);
  const { index, length } = cache;
  return Array.from({ length: index.length / length }, (_, n) =>
    Array.from(index.subarray(n * length, (n + 1) * length), (row) => values[2 * row]).join(),
  );
}

test("hypotheses keep their tokens as they fork, swap, end and move to larger buffers", () => {
  const backend = createReferenceBackend();
  const cache = new KeyValueCache(backend, { layers: 2, width: 2 });
  let expected: string[] = [];
  let next = 0;
  for (let step = 0; step < 200; step++) {
    const parents =
      step === 0
        ? [0, 0, 0]
        : [0, 1, 2].slice(0, 2 + (step % 2)).map((n) => (n * step + (step >> 2)) % expected.length);
    const tokens = parents.map(() => next++);
    expected = parents.map((parent, n) =>
      step === 0 ? `${tokens[n]}` : `${expected[parent]},${tokens[n]}`,
    );
    cache.extend(parents);
    for (const layer of [0, 1]) {
      const rows = masters(
        backend,
        tokens.flatMap((token) => [token, layer]),
      );
      cache.write(layer, rows, rows);
      backend.free(rows);
    }
    expect(texts(cache, (layer) => backend.download(cache.layer(layer).k))).toEqual(expected);
    expect(texts(cache, (layer) => backend.download(cache.layer(layer).v))).toEqual(expected);
  }
  const wrote = next * 2 * 2 * 2 * 8;
  expect(backend.memory().peak).toBeLessThan(2.5 * wrote);
  cache.dispose();
  expect(backend.memory().live).toBe(0);
});

test("the cache keeps only rows that some hypothesis still uses", () => {
  const backend = createReferenceBackend();
  const cache = new KeyValueCache(backend, { layers: 1, width: 1 });
  cache.extend([0, 0, 0, 0]);
  for (let step = 1; step < 300; step++) cache.extend([0, 0, 0, 0]); // all continue the first
  expect(cache.layer(0).k.length).toBeLessThan(800); // 300 + 3 rows in use of 1200 written
  cache.dispose();
});
