import { describe, expect, test } from "bun:test";
import { drawSplits, toTsv } from "../../demo/splits.ts";
import { drawStatement } from "../../demo/statements.ts";
import { vocabulary } from "../../demo/tokenizer.ts";

const draw = (seed: number) =>
  drawSplits(drawStatement, { seed, sizes: { train: 2000, validation: 500 } });

describe("the demo's task", () => {
  test("is a function of its seed", () => {
    expect(toTsv(draw(3)["train"]!)).toBe(toTsv(draw(3)["train"]!));
    expect(toTsv(draw(3)["train"]!)).not.toBe(toTsv(draw(4)["train"]!));
  });

  test("is balanced in both splits", () => {
    for (const rows of Object.values(draw(3))) {
      const share = rows.filter(({ label }) => label === "true").length / rows.length;
      expect(Math.abs(share - 0.5)).toBeLessThan(0.05);
    }
  });

  test("tells no story of the training split again", () => {
    const { train, validation } = draw(3);
    const trained = new Set(train!.map(({ story }) => story));
    expect(validation!.filter(({ story }) => trained.has(story))).toEqual([]);
  });

  test("uses words of the vocabulary alone, the statement those of its story", () => {
    const words = (text: string) => text.split(" ");
    for (const { story, sentence } of draw(3)["validation"]!) {
      expect(
        [...words(story), ...words(sentence)].filter((word) => !vocabulary.includes(word)),
      ).toEqual([]);
    }
  });
});
