import { describe, expect, test } from "bun:test";
import { type Batch, trainingBatches, evaluationBatches } from "../../../core/data/batching.ts";
import { randomInts, shuffle } from "../../../core/data/shuffle.ts";

// 103 batches of 10 and a remainder of 7: more than two windows of 50 batches
const lengths = Array.from({ length: 1037 }, (_, i) => 10 + ((i * 7919) % 101));
const options = { batchSize: 10, seed: 6, epoch: 0, bucketed: true };
const flat = (batches: readonly Batch[]) => batches.flatMap((batch) => [...batch]);
const padding = (batches: readonly Batch[]) =>
  batches.reduce((sum, batch) => {
    const longest = Math.max(...Array.from(batch, (i) => lengths[i] ?? 0));
    return sum + batch.reduce((rest, i) => rest + longest - (lengths[i] ?? 0), 0);
  }, 0);

describe("training batches", () => {
  for (const bucketed of [true, false]) {
    test(`every example occurs once, the short batch last (bucketed: ${bucketed})`, () => {
      const batches = trainingBatches(lengths, { ...options, bucketed });
      expect(flat(batches).toSorted((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
      expect(batches.map((batch) => batch.length)).toEqual([...Array<number>(103).fill(10), 7]);
    });

    test(`the order is a function of seed and epoch (bucketed: ${bucketed})`, () => {
      const order = (changes: object) =>
        flat(trainingBatches(lengths, { ...options, bucketed, ...changes })).join();
      expect(order({})).toBe(order({}));
      const orders = [
        order({}),
        order({ epoch: 1 }),
        order({ seed: 7 }),
        order({ seed: 6 + 2 ** 32 }),
      ];
      expect(new Set(orders).size).toBe(4);
    });
  }

  test("the order of a seed never changes between versions", () => {
    expect(
      flat(trainingBatches([3, 1, 2, 5, 4], { batchSize: 2, seed: 6, epoch: 1, bucketed: true })),
    ).toEqual([1, 0, 4, 3, 2]);
  });

  test("similar lengths share a batch, yet long and short batches are mixed", () => {
    const batches = trainingBatches(lengths, options);
    expect(padding(batches)).toBeLessThan(
      padding(trainingBatches(lengths, { ...options, bucketed: false })) / 10,
    );
    const first = batches.slice(0, 50).map((batch) => lengths[batch[0] ?? 0] ?? 0);
    const risen = first.filter((length, i) => i > 0 && length > (first[i - 1] ?? 0)).length;
    expect(risen).toBeGreaterThan(12);
    expect(risen).toBeLessThan(38);
  });

  test("the examples of a batch change between epochs", () => {
    const partners = (epoch: number) =>
      trainingBatches(lengths, { ...options, epoch }).find((batch) => batch.includes(5));
    expect(partners(0)?.toSorted().join()).not.toBe(partners(1)?.toSorted().join());
  });

  test("the short batch does not always hold the longest texts", () => {
    const last = Array.from(
      { length: 40 },
      (_, epoch) => trainingBatches(lengths, { ...options, epoch }).at(-1) ?? [],
    );
    const mean =
      last.flatMap((batch) => Array.from(batch, (i) => lengths[i] ?? 0)).reduce((a, b) => a + b) /
      280;
    expect(Math.abs(mean - 60)).toBeLessThan(8); // lengths are even over 10..110: 280 draws have an error of 1.8
  });
});

test("evaluation batches are ordered from long to short", () => {
  const batches = evaluationBatches([3, 9, 1, 9, 5], 2);
  expect(batches.map((batch) => [...batch])).toEqual([[3, 1], [4, 0], [2]]);
});

test("every order of a shuffle is equally likely", () => {
  const counts = new Map<string, number>();
  for (let epoch = 0; epoch < 6000; epoch++) {
    const order = shuffle(["a", "b", "c"], randomInts(1, epoch, 0)).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  // 1000 each, standard deviation 29
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(130);
});

test("draws are uniform when `below` does not divide 2^32", () => {
  const draw = randomInts(1, 0, 0);
  const below = 3 * 2 ** 30; // a plain remainder would fall below 2^30 in half of the draws
  const low = Array.from({ length: 3000 }, () => draw(below)).filter((n) => n < 2 ** 30).length;
  expect(Math.abs(low - 1000)).toBeLessThan(130);
});
