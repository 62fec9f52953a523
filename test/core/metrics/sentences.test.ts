import { expect, test } from "bun:test";
import { sentencesOnLines } from "../../../core/metrics/sentences.ts";

const cases: readonly (readonly [what: string, text: string, lines: readonly string[]])[] = [
  ["two sentences", "The cat sat. It slept.", ["The cat sat.", "It slept."]],
  ["white space around and between goes", " Who?  Me!\n", ["Who?", "Me!"]],
  [
    "closing quotes and brackets belong to the sentence",
    '"Stop!" he said (twice.) Then he left.',
    ['"Stop!"', "he said (twice.)", "Then he left."],
  ],
  [
    "a title is no end",
    "Dr. Smith met Mr. Jones. He was late.",
    ["Dr. Smith met Mr. Jones.", "He was late."],
  ],
  [
    "an initial or a dotted abbreviation is none before a name",
    "J. K. Rowling of the U.S. Army left.",
    ["J. K. Rowling of the U.S. Army left."],
  ],
  [
    "a dotted abbreviation is one before a word that begins sentences",
    "It was in the U.S. The war ended.",
    ["It was in the U.S.", "The war ended."],
  ],
  [
    "a decimal point is no end, a period behind a number is",
    "It rose 3.5 per cent in 2016. Then it fell.",
    ["It rose 3.5 per cent in 2016.", "Then it fell."],
  ],
  [
    "dots are an end before a capital",
    "Well... So it is... and so on.",
    ["Well...", "So it is... and so on."],
  ],
  ["lines of the text stay", "A first\nline. Third.", ["A first", "line.", "Third."]],
  ["no end at all", "no end at all", ["no end at all"]],
];

for (const [what, text, lines] of cases) {
  test(what, () => expect(sentencesOnLines(text).split("\n")).toEqual([...lines]));
}

test("a long run of dots takes linear time", () => {
  const dots = ".".repeat(200_000);
  const start = performance.now();
  expect(sentencesOnLines(dots)).toBe(dots);
  expect(performance.now() - start).toBeLessThan(1000);
});
