/** Random numbers that a seed repeats. */
export interface Random {
  /** A whole number from 0 to below `n`. */
  below(n: number): number;
  /** Whether one of `n` chances comes. */
  once(n: number): boolean;
  pick<T>(items: readonly T[]): T;
}

/** mulberry32: 32 bits of state, enough to choose mutations. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  return {
    below,
    once: (n) => below(n) === 0,
    pick: (items) => items[below(items.length)]!,
  };
}

/** The seed of one case of a target: cases are independent, so one alone can be repeated. */
export const caseSeed = (seed: number, target: string, index: number): number =>
  Number(Bun.hash(`${seed} ${target} ${index}`) & 0xffffffffn);
