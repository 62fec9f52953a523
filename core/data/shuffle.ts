import { philox, seedKey } from "../rng.ts";

/** The next random integer in 0..below-1, uniformly distributed. */
export type RandomInt = (below: number) => number;

/**
 * A random sequence that depends only on seed, epoch and stream; epoch and stream are integers
 * below 2^32.
 */
export function randomInts(seed: number, epoch: number, stream: number): RandomInt {
  const key = seedKey(seed);
  let block = 0;
  let words: readonly number[] = [];
  let used = 0;
  const nextWord = () => {
    if (used === words.length) {
      // 0x73687566 is "shuf": separate from other uses of the seed.
      words = philox([block++, epoch, stream, 0x73687566], key);
      used = 0;
    }
    return words[used++]!;
  };
  return (below) => {
    // Rejects words from the last multiple of `below` on, which would bias the remainder.
    const limit = 2 ** 32 - (2 ** 32 % below);
    for (;;) {
      const word = nextWord();
      if (word < limit) return word % below;
    }
  };
}

/** Shuffles a list in place (Fisher–Yates): every order is equally likely. */
export function shuffle<T extends Uint32Array | unknown[]>(list: T, randomInt: RandomInt): T {
  for (let i = list.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    const kept = list[i];
    list[i] = list[j];
    list[j] = kept;
  }
  return list;
}
