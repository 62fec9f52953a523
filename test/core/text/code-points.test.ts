import { describe, expect, test } from "bun:test";
import { codePoints } from "../../../core/text/code-points.ts";

describe("a text by its code points", () => {
  const emoji = codePoints("a\u{1f600}b\u{1f601}");

  test("an emoji counts once", () => {
    expect(emoji.length).toBe(4);
    expect([emoji.slice(1, 2), emoji.slice(1, 3), emoji.slice(3, 4)]).toEqual([
      "\u{1f600}",
      "\u{1f600}b",
      "\u{1f601}",
    ]);
  });

  test("ranges are clamped to the end, like Python's slices", () => {
    expect([emoji.slice(3, 9), emoji.slice(7, 9)]).toEqual(["\u{1f601}", ""]);
    expect([codePoints("ab").slice(1, 9), codePoints("ab").slice(7, 9)]).toEqual(["b", ""]);
  });

  test("both UTF-16 units of a pair map to their code point", () => {
    expect([0, 1, 2, 3, 4, 5].map((unit) => emoji.indexOfUnit(unit))).toEqual([0, 1, 1, 2, 3, 3]);
    expect(codePoints("ab").indexOfUnit(1)).toBe(1);
  });
});
