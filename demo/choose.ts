import { type RandomInt, shuffle } from "../core/data/shuffle.ts";
import { invariant } from "../core/errors.ts";

/** Draws one item of a list, each equally likely. */
export function oneOf<T>(list: readonly T[], draw: RandomInt): T {
  const chosen = list[draw(list.length)];
  invariant(chosen !== undefined, "a choice from an empty list");
  return chosen;
}

/** Draws `count` distinct items of a list, in random order. */
export function someOf<T>(list: readonly T[], count: number, draw: RandomInt): T[] {
  invariant(count <= list.length, `${count} distinct items of ${list.length}`);
  return shuffle([...list], draw).slice(0, count);
}

/** Draws true with a probability of `percent` %. */
export function chance(percent: number, draw: RandomInt): boolean {
  return draw(100) < percent;
}
