import { describe, expect, test } from "bun:test";
import { generationOptions } from "../../../core/generation/options.ts";
import { bannedIds, forcedIds } from "../../../core/generation/token-rules.ts";

const options = (given: Parameters<typeof generationOptions>[2]) =>
  generationOptions({}, { decoder_start_token_id: 2, eos_token_id: 2, max_length: 6 }, given);

describe("banned tokens", () => {
  const banned = (size: number, tokens: readonly number[]) =>
    bannedIds(tokens, options({ noRepeatNgramSize: size }));

  test("none, without a rule", () => expect(banned(0, [2, 5, 5, 5])).toEqual([]));
  test("for 1-grams, all tokens so far", () => expect(banned(1, [2, 5])).toEqual([2, 5]));
  test("for 2-grams, what followed earlier occurrences of the last token", () =>
    expect(banned(2, [2, 5, 6, 5, 7, 5])).toEqual([6, 7]));
  test("for 3-grams, what followed the last two", () =>
    expect(banned(3, [2, 5, 6, 7, 5, 6])).toEqual([7]));
  test("an n-gram may overlap itself", () => expect(banned(3, [2, 5, 5, 5])).toEqual([5]));
  test("hypotheses shorter than an n-gram have nothing to repeat", () =>
    expect(banned(3, [2, 5])).toEqual([]));
  test("end tokens, below the minimum length", () => {
    const rule = options({ minLength: 3, endIds: [2, 9] });
    expect([bannedIds([2, 5], rule), bannedIds([2, 5, 6], rule)]).toEqual([[2, 9], []]);
  });
});

describe("forced tokens", () => {
  const forced = options({ forcedBosId: 0, forcedEosIds: [2] });

  test("the first, the last, and none between", () =>
    expect([1, 2, 3, 4, 5].map((length) => forcedIds(length, forced))).toEqual([
      [0],
      undefined,
      undefined,
      undefined,
      [2],
    ]));
  test("the last one where both apply", () =>
    expect(forcedIds(1, { ...forced, maxLength: 2 })).toEqual([2]));
  test("none by default", () => expect(forcedIds(1, options({}))).toBeUndefined());
});
