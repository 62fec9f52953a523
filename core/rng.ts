/**
 * Philox4x32-10 (Salmon et al., SC 2011): four 32-bit words from a 128-bit counter and a 64-bit
 * key. Being counter-based, each number depends only on its position: it is the same on every
 * backend and in recomputation.
 */
export function philox(
  [c0, c1, c2, c3]: readonly [number, number, number, number],
  [k0, k1]: readonly [number, number],
): [number, number, number, number] {
  const words = new Uint32Array([c0, c1, c2, c3]);
  encrypt(words, k0, k1);
  return [words[0]!, words[1]!, words[2]!, words[3]!];
}

/**
 * Replaces a counter with its random words. Works in place and in 32-bit integers, since
 * initialising a model takes millions of calls.
 */
function encrypt(words: Uint32Array, key0: number, key1: number): void {
  let c0 = words[0]! | 0;
  let c1 = words[1]! | 0;
  let c2 = words[2]! | 0;
  let c3 = words[3]! | 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < 10; round++) {
    const first = highProduct(0xd2511f53, c0);
    const second = highProduct(0xcd9e8d57, c2);
    const low = Math.imul(0xd2511f53, c0);
    c0 = second ^ c1 ^ k0;
    c1 = Math.imul(0xcd9e8d57, c2);
    c2 = first ^ c3 ^ k1;
    c3 = low;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

/** The upper 32 bits of the product of two 32-bit words. */
function highProduct(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const mid = (Math.imul(ah, bl) + (Math.imul(al, bl) >>> 16)) | 0;
  const mid2 = (Math.imul(al, bh) + (mid & 0xffff)) | 0;
  return (Math.imul(ah, bh) + (mid >>> 16) + (mid2 >>> 16)) | 0;
}

/** The 64-bit key of a seed, an integer below 2^53. */
export function seedKey(seed: number): [low: number, high: number] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

/**
 * n draws from N(0, std) that depend on (seed, stream, index) only; Box-Muller on 32-bit uniforms.
 */
export function normals(n: number, std: number, seed: number, stream: number): Float32Array {
  const out = new Float32Array(n);
  const words = new Uint32Array(4);
  const [low, high] = seedKey(seed);
  for (let i = 0; i < n; i += 4) {
    setCounter(words, i / 4, stream, 0x6e6f726d); // "norm": distinct from dropout's counters
    encrypt(words, low, high);
    for (let pair = 0; pair < 2; pair++) {
      const radius = Math.sqrt(-2 * Math.log((words[2 * pair]! + 1) / 2 ** 32)) * std;
      const angle = (2 * Math.PI * words[2 * pair + 1]!) / 2 ** 32;
      if (i + 2 * pair < n) out[i + 2 * pair] = radius * Math.cos(angle);
      if (i + 2 * pair + 1 < n) out[i + 2 * pair + 1] = radius * Math.sin(angle);
    }
  }
  return out;
}

/** n draws from U(-bound, bound) that depend on (seed, stream, index) only. */
export function uniforms(n: number, bound: number, seed: number, stream: number): Float32Array {
  const out = new Float32Array(n);
  const words = new Uint32Array(4);
  const [low, high] = seedKey(seed);
  for (let i = 0; i < n; i += 4) {
    setCounter(words, i / 4, stream, 0x756e6966); // "unif"
    encrypt(words, low, high);
    for (let w = 0; w < 4 && i + w < n; w++) out[i + w] = ((words[w]! + 0.5) / 2 ** 31 - 1) * bound;
  }
  return out;
}

function setCounter(words: Uint32Array, index: number, stream: number, use: number): void {
  words[0] = index;
  words[1] = 0;
  words[2] = stream;
  words[3] = use;
}

/** The random stream of a name (FNV-1a), so that a draw does not depend on what else is drawn. */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
