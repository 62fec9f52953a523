import { type RandomInt, shuffle } from "../core/data/shuffle.ts";
import { invariant } from "../core/errors.ts";

/** One of a list, each equally likely. */
export function oneOf<T>(list: readonly T[], draw: RandomInt): T {
  const chosen = list[draw(list.length)];
  invariant(chosen !== undefined, "a choice from an empty list");
  return chosen;
}

/** Different ones of a list, in random order. */
export function someOf<T>(list: readonly T[], count: number, draw: RandomInt): T[] {
  invariant(count <= list.length, `${count} different ones of ${list.length}`);
  return shuffle([...list], draw).slice(0, count);
}

/** True in `percent` of 100 cases. */
export function chance(percent: number, draw: RandomInt): boolean {
  return draw(100) < percent;
}
