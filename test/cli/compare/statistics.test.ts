import { expect, test } from "bun:test";
import { pairedDifference, spreadOf } from "../../../cli/compare/statistics.ts";
import { randomInts } from "../../../core/data/shuffle.ts";

test("mean, sample deviation and median", () => {
  expect(spreadOf([3, 1, 2])).toEqual({ mean: 2, std: 1, median: 2 });
  expect(spreadOf([4, 1, 2, 3]).median).toBe(2.5);
  expect(spreadOf([7])).toEqual({ mean: 7, std: null, median: 7 });
});

test("differences are paired by seed; wins follow the metric's direction", () => {
  const paired = pairedDifference([5, 2, 3], [4, 2, 5], true);
  expect(paired).toMatchObject({ wins: 1, ties: 1, losses: 1 });
  expect(paired.mean).toBeCloseTo(-1 / 3, 12);
  expect(pairedDifference([5, 2, 3], [4, 2, 5], false)).toMatchObject({ wins: 1, losses: 1 });
  expect(pairedDifference([1, 1], [2, 2], false)).toMatchObject({ wins: 2, losses: 0 });
});

test("the interval is the bootstrap's: ends within the differences, and the same each time", () => {
  const values = [0.1, 0.4, 0.2, 0.9, 0.3];
  const zeros = values.map(() => 0);
  const { low, high } = pairedDifference(values, zeros, true);
  // All 3,125 samples of five, by brute force. Their tails have Phi(-sqrt(5/4) t(0.975, 4)) =
  // Phi(-3.1042) = 0.00095 of the means.
  const means: number[] = [];
  for (let code = 0; code < 5 ** 5; code++) {
    let [sum, rest] = [0, code];
    for (let i = 0; i < 5; i++, rest = Math.floor(rest / 5)) sum += values[rest % 5]!;
    means.push(sum / 5);
  }
  means.sort((a, b) => a - b);
  expect(low).toBeCloseTo(means[Math.round(0.00095 * 3124)]!, 1);
  expect(high).toBeCloseTo(means[Math.round(0.99905 * 3124)]!, 1);
  expect(pairedDifference(values, zeros, true)).toEqual(pairedDifference(values, zeros, true));
});

test("two arms of one distribution: the interval holds 0 in at least 9 of 10 tries of five seeds", () => {
  const draw = randomInts(1, 0, 1);
  const normal = () =>
    Array.from({ length: 12 }, () => draw(1000) / 1000).reduce((a, b) => a + b) - 6;
  let holds = 0;
  for (let attempt = 0; attempt < 200; attempt++) {
    const [a, b] = [Array.from({ length: 5 }, normal), Array.from({ length: 5 }, normal)];
    const { low, high } = pairedDifference(a, b, true);
    if (low! <= 0 && high! >= 0) holds++;
  }
  expect(holds).toBeGreaterThanOrEqual(180);
});

test("fewer than five differences have Student's interval, which reaches beyond them", () => {
  // t(0.975, 2) = 4.30265, t(0.975, 3) = 3.18245
  const three = pairedDifference([1, 2, 3], [0, 0, 0], true);
  expect(three.low).toBeCloseTo(2 - 4.30265 / Math.sqrt(3), 4);
  expect(three.high).toBeCloseTo(2 + 4.30265 / Math.sqrt(3), 4);
  const four = pairedDifference([1, 2, 3, 6], [0, 0, 0, 0], true);
  expect(four.high).toBeCloseTo(3 + (3.18245 * Math.sqrt(14 / 3)) / 2, 4);
  const one = pairedDifference([1], [0.5], true);
  expect(one).toEqual({ mean: 0.5, low: null, high: null, wins: 1, ties: 0, losses: 0 });
});

test("one arm twice differs by nothing", () => {
  const difference = pairedDifference([0.5, 0.7], [0.5, 0.7], true);
  expect(difference).toEqual({ mean: 0, low: 0, high: 0, wins: 0, ties: 2, losses: 0 });
});
