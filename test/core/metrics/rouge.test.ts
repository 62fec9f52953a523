import { describe, expect, test } from "bun:test";
import {
  aggregateRouge,
  rougeIntervals,
  rougeMetrics,
} from "../../../core/metrics/rouge-aggregate.ts";
import { rougeTokens } from "../../../core/metrics/rouge-tokens.ts";
import { type RougeName, rougeScores } from "../../../core/metrics/rouge.ts";

type Triple = readonly [precision: number, recall: number, fmeasure: number];

/** Computed by rouge_score 0.1.2. */
const cases: readonly {
  readonly what: string;
  readonly prediction: string;
  readonly reference: string;
  readonly stem: boolean;
  readonly want: readonly [Triple, Triple, Triple, Triple];
}[] = [
  {
    what: "stemmed words",
    prediction: "The cats are running quickly",
    reference: "a cat runs quick",
    stem: true,
    want: [
      [0.4, 0.5, 0.444444444444],
      [0, 0, 0],
      [0.4, 0.5, 0.444444444444],
      [0.4, 0.5, 0.444444444444],
    ],
  },
  {
    what: "unstemmed words",
    prediction: "The cats are running quickly",
    reference: "a cat runs quick",
    stem: false,
    want: [
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ],
  },
  {
    what: "sentences in another order",
    prediction: "line two\nline one",
    reference: "line one\nline two",
    stem: false,
    want: [
      [1, 1, 1],
      [2 / 3, 2 / 3, 2 / 3],
      [0.5, 0.5, 0.5],
      [1, 1, 1],
    ],
  },
  {
    what: "a token of the union counts at most as often as either text has it",
    prediction: "w1 w2 w3 w4 w5\nw1 w2 w6 w7 w8\nw1 w3 w8 w9 w5",
    reference: "w1 w2 w3 w4 w5",
    stem: true,
    want: [
      [1 / 3, 1, 0.5],
      [2 / 7, 1, 4 / 9],
      [1 / 3, 1, 0.5],
      [1 / 3, 1, 0.5],
    ],
  },
  {
    what: "of several common subsequences, rouge_score's",
    prediction: "b d c\na d a",
    reference: "d b c b",
    stem: false,
    want: [
      [0.5, 0.75, 0.6],
      [0, 0, 0],
      [1 / 3, 0.5, 0.4],
      [1 / 3, 0.5, 0.4],
    ],
  },
  {
    what: "a blank line, repeated words",
    prediction: "a x b\nb a y",
    reference: "a b a\n\nb x y a",
    stem: true,
    want: [
      [1, 6 / 7, 12 / 13],
      [0.2, 1 / 6, 2 / 11],
      [2 / 3, 4 / 7, 8 / 13],
      [5 / 6, 5 / 7, 10 / 13],
    ],
  },
  {
    what: "no words",
    prediction: "...",
    reference: "cat",
    stem: true,
    want: [
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ],
  },
];
const names: readonly RougeName[] = ["rouge1", "rouge2", "rougeL", "rougeLsum"];

describe("ROUGE of a pair", () => {
  for (const { what, prediction, reference, stem, want } of cases) {
    test(what, () => {
      const [scores] = rougeScores([prediction], [reference], { stem });
      for (const [i, name] of names.entries()) {
        const { precision, recall, fmeasure } = scores?.[name] ?? {};
        const [p, r, f] = want[i] ?? [];
        expect([name, precision, recall, fmeasure]).toEqual([
          name,
          expect.closeTo(p ?? NaN, 10),
          expect.closeTo(r ?? NaN, 10),
          expect.closeTo(f ?? NaN, 10),
        ]);
      }
    });
  }

  test("lists of unequal length are refused", () => {
    expect(() => rougeScores(["a"], [], { stem: true })).toThrow(
      "[rouge] needs a reference for each prediction: got 1 predictions, 0 references",
    );
  });
});

test("tokens are lower-case runs of a to z and digits; short ones are not stemmed", () => {
  const text = "Café it's 1,000 \u212aelvins running\u2019s bus";
  expect(rougeTokens(text, false)).toEqual([
    "caf",
    "it",
    "s",
    "1",
    "000",
    "kelvins",
    "running",
    "s",
    "bus",
  ]);
  expect(rougeTokens(text, true)).toEqual([
    "caf",
    "it",
    "s",
    "1",
    "000",
    "kelvin",
    "run",
    "s",
    "bus",
  ]);
});

describe("over many pairs", () => {
  const scores = rougeScores(["a b", "a", "x", "a b c d"], ["a b", "a b", "y", "a b"], {
    stem: true,
  });

  const manyOf = (times: number) => Array.from({ length: times }, () => scores).flat();

  test("means and intervals, in percent as metrics", () => {
    const aggregate = aggregateRouge(scores, 1);
    // F-measures 1, 2/3, 0, 2/3; the second text has no pair of words
    expect(aggregate.rouge1.precision.mean).toBeCloseTo((1 + 1 + 0 + 0.5) / 4, 12);
    expect(rougeMetrics(aggregate).rouge1).toBeCloseTo((100 * (1 + 2 / 3 + 0 + 2 / 3)) / 4, 10);
    const { low, high } = aggregate.rouge1.fmeasure;
    expect(rougeIntervals(aggregate).rouge1).toEqual({ low: 100 * low, high: 100 * high });
    expect(rougeMetrics(aggregate).rouge2).toBeCloseTo((100 * (1 + 0 + 0 + 0.5)) / 4, 10);
  });

  test("intervals contain the mean, are a function of the seed, and narrow with more pairs", () => {
    const { low, mean, high } = aggregateRouge(scores, 1).rouge1.fmeasure;
    expect(low).toBeLessThan(mean);
    expect(high).toBeGreaterThan(mean);
    expect(aggregateRouge(scores, 1)).toEqual(aggregateRouge(scores, 1));
    expect(aggregateRouge(manyOf(25), 2)).not.toEqual(aggregateRouge(manyOf(25), 1));
    const narrow = aggregateRouge(manyOf(25), 1).rouge1.fmeasure;
    // the standard error falls with the root of the count: 5 times for 25 times the pairs
    expect((high - low) / (narrow.high - narrow.low)).toBeGreaterThan(4);
    expect((high - low) / (narrow.high - narrow.low)).toBeLessThan(6);
  });

  test("with many pairs the bounds are those of the normal approximation", () => {
    const coin = Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? "a" : "b"));
    const half = rougeScores(
      coin,
      coin.map(() => "a"),
      { stem: false },
    );
    const { low, high } = aggregateRouge(half, 7).rouge1.fmeasure;
    const halfWidth = 1.96 * Math.sqrt(0.25 / 400);
    expect(Math.abs(low - (0.5 - halfWidth))).toBeLessThan(0.01);
    expect(Math.abs(high - (0.5 + halfWidth))).toBeLessThan(0.01);
  });

  test("no pairs have no mean", () => {
    expect(() => aggregateRouge([], 1)).toThrow("[rouge] needs 1 or more pairs, got none");
  });
});
