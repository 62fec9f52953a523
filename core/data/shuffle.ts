import { philox, seedKey } from "../rng.ts";

/** Random whole numbers in 0..below-1, each equally likely, from one endless sequence. */
export type RandomInt = (below: number) => number;

/** A sequence that is a function of seed, epoch and stream alone; epochs and streams are whole numbers below 2^32. */
export function randomInts(seed: number, epoch: number, stream: number): RandomInt {
  const key = seedKey(seed);
  let block = 0;
  let words: readonly number[] = [];
  let used = 0;
  const nextWord = () => {
    if (used === words.length) {
      words = philox([block++, epoch, stream, 0x73687566], key); // "shuf": apart from other uses of the seed
      used = 0;
    }
    return words[used++]!;
  };
  return (below) => {
    // Words at and above the last whole multiple of `below` would favour small numbers.
    const limit = 2 ** 32 - (2 ** 32 % below);
    for (;;) {
      const word = nextWord();
      if (word < limit) return word % below;
    }
  };
}

/** Shuffles a list in place (Fisher and Yates): every order is equally likely. */
export function shuffle<T extends Uint32Array | unknown[]>(list: T, randomInt: RandomInt): T {
  for (let i = list.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    const kept = list[i];
    list[i] = list[j];
    list[j] = kept;
  }
  return list;
}
