import { errors } from "../errors.ts";
import type { KeptCells } from "./kept-columns.ts";
import { type RandomInt, randomInts, shuffle } from "./shuffle.ts";

/** Which share of some rows to hold out, and what that depends on. */
export interface HoldOutOptions {
  /** Above 0 and below 1. */
  readonly fraction: number;
  readonly seed: number;
}

/**
 * Indices of the rows to hold out, ascending: about `fraction` of all and of each class, chosen at
 * random. `classes`: [rows]. A class keeps at least one row to train on. Throws E_FLAG if that
 * leaves nothing to hold out or to train on.
 */
export function stratifiedRows(
  classes: ArrayLike<number>,
  { fraction, seed }: HoldOutOptions,
): readonly number[] {
  const randomInt = heldOutRandom(seed);
  const strata = [...rowsByKey(classes).values()];
  const quotas = quotasOf(
    strata.map(({ length }) => length),
    fraction,
  );
  const held = strata.flatMap((rows, i) => shuffle(rows, randomInt).slice(0, quotas[i]));
  return checked(held, classes.length, fraction);
}

/**
 * As stratifiedRows without classes, but rows of one group are held out together: questions on the
 * same context. `groups`: [rows], the key of each row's group.
 */
export function groupedRows(
  groups: ArrayLike<unknown>,
  { fraction, seed }: HoldOutOptions,
): readonly number[] {
  const all = shuffle([...rowsByKey(groups).values()], heldOutRandom(seed));
  const count = Math.max(1, Math.round(fraction * groups.length));
  const held: number[] = [];
  for (const rows of all.slice(0, -1)) {
    if (held.length >= count) break;
    held.push(...rows);
  }
  return checked(held, groups.length, fraction);
}

/** What a split's reader returns: examples, and the cells of their rows that the split keeps. */
interface Rows<E> {
  readonly examples: readonly E[];
  readonly kept?: readonly KeptCells[] | undefined;
}

/**
 * Some rows of a split, with their examples renumbered. Throws E_FILE if `name` has fewer rows.
 */
export function pickRows<E extends { readonly index: number }>(
  { examples, kept }: Rows<E>,
  rows: readonly number[],
  name: string,
): Rows<E> {
  const picked = rows.map((row, index) => {
    const example = examples[row];
    if (example !== undefined) return { ...example, index };
    const rule = `has ${examples.length} rows, but row ${row + 1} was held out`;
    throw errors.file(name, rule, "the data has changed since the run");
  });
  return { examples: picked, kept: kept && rows.map((row) => kept[row] ?? {}) };
}

// --- internal ---

/** Training orders use stream 0 of an epoch; this is an epoch that no run reaches. */
const heldOutRandom = (seed: number): RandomInt => randomInts(seed, 2 ** 32 - 1, 1);

function rowsByKey(keys: ArrayLike<unknown>): Map<unknown, number[]> {
  const byKey = new Map<unknown, number[]>();
  for (let row = 0; row < keys.length; row++) {
    const rows = byKey.get(keys[row]);
    if (rows === undefined) byKey.set(keys[row], [row]);
    else rows.push(row);
  }
  return byKey;
}

/** Rows to hold out of each class: the share rounded down, then the largest remainders. */
function quotasOf(sizes: readonly number[], fraction: number): readonly number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const shares = sizes.map((size) => fraction * size);
  const quotas = shares.map(Math.floor);
  let left = Math.max(1, Math.round(fraction * total)) - quotas.reduce((sum, q) => sum + q, 0);
  const remainder = (i: number) => shares[i]! - quotas[i]!;
  // Rounded, so that equal remainders are equal; then a class of which no row is held out yet.
  const gain = (i: number) => Math.round(1e9 * remainder(i)) + (quotas[i] === 0 ? 0.5 : 0);
  const byRemainder = sizes.map((_, i) => i).toSorted((a, b) => gain(b) - gain(a));
  for (const i of byRemainder) {
    if (left === 0) break;
    if (quotas[i]! + 1 >= sizes[i]!) continue;
    quotas[i]!++;
    left--;
  }
  return quotas;
}

function checked(held: readonly number[], rows: number, fraction: number): readonly number[] {
  if (held.length > 0) return held.toSorted((a, b) => a - b);
  const rule = `${fraction} holds out none of ${rows} rows: every class or context must keep one to train on`;
  throw errors.flag("eval-fraction", rule, "give evaluation data of its own with --eval-data");
}
