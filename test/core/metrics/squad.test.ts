import { describe, expect, test } from "bun:test";
import { type AnswerPair, squadMetrics, squadV2Metrics } from "../../../core/metrics/squad.ts";
import { answerWords } from "../../../core/metrics/squad-normalize.ts";

describe("answers are compared by their words", () => {
  const cases: [text: string, normalized: string, why: string][] = [
    ["The  U.S. Army!", "us army", "case, punctuation, articles, white space"],
    ["an-an the-end", "anan theend", "punctuation goes first, and what it joined stays"],
    ["\u201cthe cat\u201d", "\u201c cat\u201d", "only ASCII punctuation goes"],
    ["the\u0301 x", "\u0301 x", "a mark is no letter: the article before it goes"],
    ["aé théâtre \u4e2dthe", "aé théâtre \u4e2dthe", "letters of any script hold a word together"],
    ["1the a2 the_", "1the a2", "digits hold a word together, an underscore does not"],
    ["x\u001cy\u0085z\ufeffb", "x y z\ufeffb", "white space is Python's"],
    ["the a an", "", "articles alone are nothing"],
  ];
  for (const [text, normalized, why] of cases) {
    test(why, () => expect(answerWords(text).join(" ")).toBe(normalized));
  }
});

const pairs: readonly AnswerPair[] = [
  { prediction: "the Cat!", answers: ["a cat"], noAnswer: 0.1 },
  { prediction: "Cats", answers: ["cats and dogs", "the dog"], noAnswer: 0.9 },
  { prediction: "", answers: [], noAnswer: 0.8 },
  { prediction: "wrong", answers: [], noAnswer: 0.3 },
  { prediction: "", answers: ["right"], noAnswer: 0.7 },
  { prediction: "the", answers: ["an"], noAnswer: 0.2 },
  { prediction: "x x y", answers: ["x y y"], noAnswer: 0.6 },
];

const close = (values: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(values).map(([k, v]) => [k, expect.closeTo(v, 10)]));

describe("SQuAD 2.0", () => {
  // what transformers' squad_evaluate makes of the pairs
  const best = {
    best_exact: 57.142857142857146,
    best_exact_thresh: 0.2,
    best_f1: 59.52380952380952,
    best_f1_thresh: 0.9,
  };
  const none = { NoAns_exact: 50, NoAns_f1: 50, NoAns_total: 2 };

  test("of all questions, and of those with and without an answer", () => {
    expect(squadV2Metrics(pairs)).toEqual(
      close({
        exact: 42.857142857142854,
        f1: 59.523809523809526,
        total: 7,
        HasAns_exact: 40,
        HasAns_f1: 63.33333333333333,
        HasAns_total: 5,
        ...none,
        ...best,
      }),
    );
  });

  test("a question above the threshold counts as unanswered; the best thresholds stay", () => {
    expect(squadV2Metrics(pairs, 0.5)).toEqual(
      close({
        exact: 42.857142857142854,
        f1: 42.857142857142854,
        total: 7,
        HasAns_exact: 40,
        HasAns_f1: 40,
        HasAns_total: 5,
        ...none,
        ...best,
      }),
    );
  });

  test("an absent kind of question has no metrics", () => {
    const names = Object.keys(squadV2Metrics(pairs.slice(0, 1)));
    expect(names.filter((name) => name.startsWith("NoAns"))).toEqual([]);
    expect(names).toContain("HasAns_f1");
  });

  test("of equally good thresholds the first wins", () => {
    const turns = [
      { prediction: "x", answers: ["x"], noAnswer: 0.1 },
      { prediction: "x", answers: [], noAnswer: 0.2 },
      { prediction: "x", answers: ["x"], noAnswer: 0.3 },
    ];
    expect(squadV2Metrics(turns)).toMatchObject({
      best_exact: expect.closeTo(200 / 3, 10),
      best_exact_thresh: 0.1,
    });
  });

  test("a question without a prediction counts as wrong", () => {
    const missing = [{ prediction: undefined, answers: [] }];
    expect(squadV2Metrics(missing)).toMatchObject({ exact: 0, f1: 0, total: 1 });
  });
});

describe("SQuAD 1.1", () => {
  test("exact match and F1 by the best answer of each question", () => {
    // 1 + 0 + 0 + 1 (two empty ones match) + 0 of 5, and 1 + 1/2 + 0 + 0 (they share no word) + 2/3
    const answered = pairs.filter(({ answers }) => answers.length > 0);
    expect(squadMetrics(answered)).toEqual({
      exact_match: expect.closeTo(40, 10),
      f1: expect.closeTo((100 * (1 + 1 / 2 + 2 / 3)) / 5, 10),
    });
  });

  test("a question without a prediction counts as wrong", () => {
    const [first] = pairs;
    const missing = { prediction: undefined, answers: ["x"] };
    expect(squadMetrics([...(first ? [first] : []), missing])).toEqual({ exact_match: 50, f1: 50 });
  });
});
