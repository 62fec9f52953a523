import { describe, expect, test } from "bun:test";
import { answerFiles } from "../../../core/qa/answer-files.ts";
import { type ValidationFeatures, validationFeatures } from "../../../core/qa/features.ts";
import { postProcess } from "../../../core/qa/post-process.ts";
import type { SpanLimits } from "../../../core/qa/spans.ts";
import { examples, expected, tinyTokenizer } from "./fixtures.ts";

const [, size = { maxLength: 0, stride: 0 }] = expected.sizes;
const rows = (list: readonly (readonly number[])[]) => list.map((row) => Float32Array.from(row));

describe("answers of the reference's utils_qa.py", () => {
  for (const want of expected.answers) {
    const { unanswerable, nBest, maxAnswerLength, nullThreshold } = want;
    const options = { unanswerable, nBest, maxAnswerLength, nullThreshold };
    test(JSON.stringify(options), async () => {
      const features = await validationFeatures(examples, await tinyTokenizer(), size);
      const got = postProcess(
        examples,
        features,
        rows(expected.start),
        rows(expected.end),
        options,
      );
      const files = answerFiles(got);
      // byte for byte: order, indent and escapes of Python's json.dumps too
      expect(files["predictions.json"]).toBe(want.predictionsText);
      const nbest = JSON.parse(files["nbest_predictions.json"]);
      for (const [id, candidates] of Object.entries(want.nbest)) {
        expect(nbest[id]).toEqual(
          candidates.map((one) => ({ ...one, probability: expect.closeTo(one.probability, 6) })),
        );
      }
      const odds = files["null_odds.json"];
      expect(odds === undefined ? undefined : JSON.parse(odds)).toEqual(want.nullOdds);
    });
  }

  test('some are "no answer", and some are not', () => {
    const [first] = expected.answers;
    const texts = Object.values(JSON.parse(first?.predictionsText ?? "{}"));
    expect(texts.filter((text) => text === "").length).toBeGreaterThan(0);
    expect(texts.filter((text) => text !== "").length).toBeGreaterThan(0);
  });
});

/** One window on "ab cd": CLS, a question's token, SEP, the context's two tokens, SEP. */
const features: ValidationFeatures = {
  tokens: {
    ids: Int32Array.of(1, 5, 2, 6, 7, 2),
    typeIds: Uint8Array.of(0, 0, 0, 1, 1, 1),
    offsets: Int32Array.of(0, 6),
  },
  exampleOf: Int32Array.of(0),
  contextFirst: Int32Array.of(3),
  contextEnd: Int32Array.of(5),
  textStart: Int32Array.of(0, 0, 0, 0, 2, 0),
  textEnd: Int32Array.of(0, 0, 0, 2, 5, 0),
};
const example = { index: 0, id: "q", question: "x", context: "ab cd" };

function predict(
  start: number[],
  end: number[],
  unanswerable: boolean,
  limits: Partial<SpanLimits> = {},
) {
  const options = { nBest: 20, maxAnswerLength: 30, nullThreshold: 0, ...limits, unanswerable };
  const [answer] = postProcess(
    [example],
    features,
    [Float32Array.from(start)],
    [Float32Array.from(end)],
    options,
  );
  return answer;
}

describe("a single window", () => {
  test("the best span of the context, even if reversed or outside spans score higher", () => {
    const answer = predict([9, 9, 9, 1, 3, 9], [9, 9, 9, 5, 2, 9], false);
    expect(answer?.text).toBe("ab");
    expect(answer?.candidates.map(({ text }) => text)).toEqual(["ab", " cd", "ab cd"]);
  });

  test("no answer when it scores above the best span by more than the threshold", () => {
    const answer = predict([3, 0, 0, 1, 0.5, 0], [3, 0, 0, 1, 0.5, 0], true);
    expect([answer?.text, answer?.nullOdds, answer?.best.text]).toEqual(["", 4, "ab"]);
    const equal = predict([1, 0, 0, 1, 0.5, 0], [1, 0, 0, 1, 0.5, 0], true);
    expect([equal?.text, equal?.nullOdds]).toEqual(["ab", 0]);
  });

  test("logits of padding are no candidates, but count among the nBest", () => {
    const padded = [0, 0, 0, 1, 2, 0, 8, 8];
    expect(predict(padded, padded, false)?.text).toBe(" cd");
    expect(predict(padded, padded, false, { nBest: 2 })?.text).toBe("empty");
  });

  test("sums are those of 32-bit floats", () => {
    const large = 2 ** 24; // large + 1 is no 32-bit float
    const answer = predict([0, 0, 0, large, 0, 0], [0, 0, 0, 1, 0, 0], true);
    expect(answer?.nullOdds).toBe(-large);
    // " cd" scores large + 1, which is large: a tie, in which the larger start stays first
    const tie = predict([0, 0, 0, large, large - 2, 0], [0, 0, 0, 0, 3, 0], false, {
      maxAnswerLength: 1,
    });
    expect(tie?.candidates.map(({ text }) => text)).toEqual(["ab", " cd"]);
  });

  test("an answer has at most maxAnswerLength tokens", () => {
    const [start, end] = [
      [0, 0, 0, 2, 1, 0],
      [0, 0, 0, 0, 9, 0],
    ];
    expect(predict(start, end, false, { maxAnswerLength: 2 })?.text).toBe("ab cd");
    expect(predict(start, end, false, { maxAnswerLength: 1 })?.text).toBe(" cd");
  });

  test("of equal logits the later token wins", () => {
    const equal = [0, 0, 0, 1, 1, 0];
    expect(predict(equal, equal, false, { nBest: 1 })?.text).toBe(" cd");
  });
});

test("answer files keep the order of integer-like ids, in ASCII", () => {
  const candidate = { text: "é\u{1f600}", startLogit: 1, endLogit: 2, probability: 1 };
  const files = answerFiles(
    ["17", "9"].map((id) => ({
      id,
      text: candidate.text,
      candidates: [candidate],
      best: candidate,
    })),
  );
  const text = '"\\u00e9\\ud83d\\ude00"';
  expect(files["predictions.json"]).toBe(`{\n    "17": ${text},\n    "9": ${text}\n}\n`);
  expect(Object.keys(files)).toEqual(["predictions.json", "nbest_predictions.json"]);
  expect(JSON.parse(files["nbest_predictions.json"])["9"]).toEqual([
    { start_logit: 1, end_logit: 2, text: candidate.text, probability: 1 },
  ]);
});
