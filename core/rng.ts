/**
 * Philox4x32-10 (Salmon et al., SC 2011): four 32-bit words from a 128-bit counter and a 64-bit key.
 * Counter-based, so that a number depends on where it is used alone: the same on every backend and in recomputation.
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [hi0, lo0] = multiply(0xd2511f53, c0);
    const [hi1, lo1] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(hi1 ^ c1 ^ k0) >>> 0, lo1, (hi0 ^ c3 ^ k1) >>> 0, lo0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The 64-bit product of two 32-bit words as [high, low]. */
function multiply(a: number, b: number): [number, number] {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const low = al * bl;
  const mid = ah * bl + (low >>> 16);
  const mid2 = al * bh + (mid & 0xffff);
  const high = ah * bh + Math.floor(mid / 0x10000) + Math.floor(mid2 / 0x10000);
  return [high >>> 0, (((mid2 & 0xffff) << 16) | (low & 0xffff)) >>> 0];
}

/** A 64-bit key from a seed; seeds are whole numbers below 2^53. */
export function seedKey(seed: number): [low: number, high: number] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

/** n draws of N(0, std), a function of (seed, stream, index) alone; Box-Muller on 32-bit uniforms. */
export function normals(n: number, std: number, seed: number, stream: number): Float32Array {
  const out = new Float32Array(n);
  const key = seedKey(seed);
  for (let i = 0; i < n; i += 4) {
    const words = philox([i / 4, 0, stream, 0x6e6f726d], key); // "norm": apart from dropout's counters
    for (let pair = 0; pair < 2; pair++) {
      const radius = Math.sqrt(-2 * Math.log((words[2 * pair]! + 1) / 2 ** 32)) * std;
      const angle = (2 * Math.PI * words[2 * pair + 1]!) / 2 ** 32;
      if (i + 2 * pair < n) out[i + 2 * pair] = radius * Math.cos(angle);
      if (i + 2 * pair + 1 < n) out[i + 2 * pair + 1] = radius * Math.sin(angle);
    }
  }
  return out;
}

/** n draws of U(-bound, bound), likewise. */
export function uniforms(n: number, bound: number, seed: number, stream: number): Float32Array {
  const out = new Float32Array(n);
  const key = seedKey(seed);
  for (let i = 0; i < n; i += 4) {
    const words = philox([i / 4, 0, stream, 0x756e6966], key);
    for (let w = 0; w < 4 && i + w < n; w++) out[i + w] = ((words[w]! + 0.5) / 2 ** 31 - 1) * bound;
  }
  return out;
}
