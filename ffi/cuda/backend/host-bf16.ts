const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

const QUIET_NAN = 0x7fc0;

/** Rounds numbers to bf16: to the nearest, ties to even. */
export function toBfloats(from: ArrayLike<number>, to: Uint16Array): void {
  for (let i = 0; i < from.length; i++) {
    float[0] = from[i]!;
    const word = bits[0]!;
    const isNan = (word & 0x7fffffff) > 0x7f800000;
    to[i] = isNan ? QUIET_NAN : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
}

/** Widens bf16, the upper half of an f32. */
export function fromBfloats(from: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(from.length);
  for (let i = 0; i < from.length; i++) words[i] = from[i]! << 16;
  return new Float32Array(words.buffer);
}
