import { describe, expect, test } from "bun:test";
import type { SquadExample } from "../../../core/data/squad-question.ts";
import { tokensOf } from "../../../core/data/token-cache.ts";
import { trainFeatures, validationFeatures } from "../../../core/qa/features.ts";
import { bartTokenizer } from "../../../core/text/families/bart.ts";
import { loadTokenizer } from "../../helpers/load-tokenizer.ts";
import { tinyBartDir } from "../text/fixtures.ts";
import { examples, expected, type ExpectedWindow, tinyTokenizer } from "./fixtures.ts";

describe("windows of the reference's run_qa.py", () => {
  for (const { maxLength, stride, windows } of expected.sizes) {
    test(`training, ${maxLength} tokens with a stride of ${stride}`, async () => {
      const sizes = { maxLength, stride };
      const features = await trainFeatures(examples, await tinyTokenizer(), sizes);
      const got = Array.from(features.exampleOf, (example, f): Omit<ExpectedWindow, "offsets"> => {
        const { ids, typeIds } = tokensOf(features.tokens, f);
        return {
          id: examples[example]?.id ?? "",
          ids: Array.from(ids),
          typeIds: Array.from(typeIds),
          start: features.start[f] ?? NaN,
          end: features.end[f] ?? NaN,
        };
      });
      expect(got).toEqual(
        windows.map(({ id, ids, typeIds, start, end }) => ({ id, ids, typeIds, start, end })),
      );
    });

    test(`prediction, ${maxLength} tokens with a stride of ${stride}`, async () => {
      const sizes = { maxLength, stride };
      const features = await validationFeatures(examples, await tinyTokenizer(), sizes);
      const { tokens, contextFirst, contextEnd, textStart, textEnd } = features;
      const got = windows.map((_, f): ExpectedWindow["offsets"] => {
        const row = tokens.offsets[f]!;
        return Array.from(tokensOf(tokens, f).ids, (_id, i) =>
          i < contextFirst[f]! || i >= contextEnd[f]!
            ? null
            : [textStart[row + i]!, textEnd[row + i]!],
        );
      });
      expect(got).toEqual(windows.map(({ offsets }) => offsets));
      expect(features.exampleOf.length).toBe(windows.length);
    });
  }
});

const question = (id: string, text: string, context: string): SquadExample => ({
  index: 0,
  id,
  question: text,
  context,
});

test("a family with two separators between the texts has its own template", async () => {
  const tokenizer = await loadTokenizer(tinyBartDir, bartTokenizer);
  const sizes = { maxLength: 16, stride: 4 };
  const example = question("a", " \u3000the cat", "a cat's eating the cat in the morning");
  const { tokens, contextFirst, textStart } = await validationFeatures([example], tokenizer, sizes);
  const want = await tokenizer.windows(
    { text: "the cat", pair: example.context }, // white space before a question goes
    { ...sizes, truncation: "second" },
  );
  expect(want.length).toBeGreaterThan(1);
  expect(want.map((_, f) => Array.from(tokensOf(tokens, f).ids))).toEqual(
    want.map(({ ids }) => Array.from(ids)),
  );
  const first = want.map(({ sequences }) => sequences.indexOf(1));
  expect(Array.from(contextFirst)).toEqual(first);
  expect(Array.from(textStart).slice(0, 16)).toEqual(
    want[0]?.offsets.map(([start], i) => (i < first[0]! ? 0 : start)) ?? [],
  );
});

test("a context without a token makes a window without an answer", async () => {
  const example = { ...question("a", "Who?", ""), answers: [{ text: "", start: 0 }] };
  const sizes = { maxLength: 32, stride: 4 };
  const tokenizer = await tinyTokenizer();
  const train = await trainFeatures([example], tokenizer, sizes);
  expect([train.start, train.end]).toEqual([Int32Array.of(0), Int32Array.of(0)]);
  const { contextFirst, contextEnd } = await validationFeatures([example], tokenizer, sizes);
  expect(contextFirst).toEqual(contextEnd);
});

test("an empty answer at the start of the context is labelled inside the window", async () => {
  const context = "The cat sat.";
  const example = { ...question("a", "Who?", context), answers: [{ text: "", start: 0 }] };
  const sizes = { maxLength: 32, stride: 4 };
  const { start, end, tokens } = await trainFeatures([example], await tinyTokenizer(), sizes);
  const first = tokensOf(tokens, 0).typeIds.indexOf(1);
  expect([start[0], end[0]]).toEqual([first, first]);
});

describe("impossible window sizes are refused", () => {
  const long = question("long", "Who walked to the river, and when?", "The cat sat on the mat.");
  const refusal = async (maxLength: number, stride: number) =>
    trainFeatures([long], await tinyTokenizer(), { maxLength, stride }).then(
      () => "accepted",
      (error: Error) => error.message,
    );

  test("a question that leaves too little room is named", async () => {
    expect(await refusal(31, 8)).toBe(
      '[tokenize] windows of question "long" must hold more context tokens than the 8 that they share: got a question of 22 tokens, which leaves room for 6',
    );
    expect(await refusal(31, 6)).toContain('of question "long"');
    expect(await refusal(12, 0)).toContain("leaves room for 0");
  });

  test("a stride that no window can hold", async () => {
    expect(await refusal(31, 30)).toContain("the stride must be smaller");
  });

  test("the same question with enough room", async () => {
    expect(await refusal(31, 3)).toBe("accepted");
  });
});
