import { expect, test } from "bun:test";
import { compileRegex, regexBudget } from "../../../core/io/bounded-regex.ts";
import { RegexError } from "../../../core/io/regex-parser.ts";
import { cpuTime } from "../../helpers/cpu-time.ts";

const matches = (source: string, text: string) =>
  compileRegex(source, regexBudget()).fullMatch(text);

/** Expressions that JavaScript reads as Python does, with texts on both sides. */
const SAME: readonly (readonly [source: string, ...texts: string[]])[] = [
  ["", "", "a"],
  ["abc", "abc", "ab", "abcd"],
  ["a|bc|", "a", "bc", "", "abc"],
  ["(a|b)*c", "c", "ababc", "abd"],
  ["a?b+c*", "b", "abbcc", "ac", "aab"],
  ["a{2}b{1,2}c{2,}", "aabcc", "aabbccc", "abcc", "aabbbcc"],
  [".*\\.(query|key)_proj", "a.b.query_proj", "query_proj", "a.key_proj.x"],
  ["[a-c_]+[^\\d.]", "abcx", "abc1", "a_."],
  ["[\\]a]", "]", "a", "b"],
  ["[a-]+", "a-a", "b"],
  ["\\w+\\s\\S\\D\\d\\W", "ab c-1.", "ab cc11"],
  ["(?:a(?=b)b)+", "abab", "aba"],
  ["(?!.*attention).*dense", "output.dense", "attention.output.dense"],
  ["a(?!b|c).", "ad", "ab", "ac"],
  ["\\bab\\b.c", "ab.c", "abxc"],
  ["a\\Bb", "ab", "a b"],
  ["^a$", "a", "b"],
  ["(a*)*b", "b", "aaab", "aaa"],
  ["\\x41\\u0042\\.", "AB.", "ABx"],
  ["(|a){3}b", "aab", "b", "aaaab"],
  ["é+", "éé", "e"],
];

for (const [source, ...texts] of SAME) {
  test(`/${source}/ matches the whole text where JavaScript's engine does`, () => {
    const expected = texts.map((text) => new RegExp(`^(?:${source})$`, "u").test(text));
    expect(new Set(expected).size).toBe(texts.length > 1 ? 2 : 1);
    expect(texts.map((text) => matches(source, text))).toEqual(expected);
  });
}

test("endMatch begins at the start or after any dot", () => {
  const regex = compileRegex("b.*|^a", regexBudget());
  const texts = ["a.b", "a.xb", "b.c", "a", "x.a", "x.y.bz"];
  expect(texts.map((text) => regex.endMatch(text))).toEqual([true, false, true, true, false, true]);
});

test("syntax of Python alone", () => {
  expect(matches(String.raw`(?P<layer>\d)\Z`, "3")).toBe(true);
  expect(matches(String.raw`\A[]x]+(?#a comment)`, "x]")).toBe(true);
  expect(matches("a{x}", "a{x}")).toBe(true);
  expect(matches("a{,2}", "aa")).toBe(true);
  expect(matches("a{,2}", "aaa")).toBe(false);
  expect(matches(String.raw`\w`, "é")).toBe(true);
});

const REFUSED: readonly (readonly [source: string, message: string])[] = [
  ["(a", "whose parentheses are balanced"],
  ["a)", "whose parentheses are balanced"],
  ["[a", "whose brackets are balanced"],
  ["[b-a]", "whose ranges are in order"],
  ["*a", "whose quantifiers follow something"],
  ["a**", "whose quantifiers follow something"],
  ["a{3,2}", "whose counts are in order"],
  ["a{2000}", "with counts of at most 1000"],
  ["((a{1000}){1000}){1000}", "that is smaller"],
  ["a\\", "that does not end with a backslash"],
  [String.raw`(a)\1`, "without backreferences"],
  ["(?P=a)", "without backreferences"],
  ["(?<=a)b", "without lookbehinds"],
  ["(?i)a", "without flags"],
  ["(?>a)", "without atomic groups"],
  ["a++", "without possessive quantifiers"],
  [String.raw`\q`, String.raw`without the escape \q`],
  [String.raw`\xg0`, String.raw`without the escape \x`],
  ["(".repeat(60) + ")".repeat(60), "nested at most 50 deep"],
  ["a".repeat(2000), "of at most 1000 characters"],
];

for (const [source, message] of REFUSED) {
  test(`/${source.slice(0, 30)}/ is refused: ${message}`, () => {
    expect(() => compileRegex(source, regexBudget())).toThrow(new RegexError(message));
  });
}

test("expressions that backtrack catastrophically elsewhere take linear time", () => {
  const started = cpuTime();
  for (const source of [
    "(a+)+b",
    "(a*)*b",
    "(a|aa)+b",
    "(.*)(.*)(.*)(.*)(.*)b",
    "(a?){50}a{50}b",
  ]) {
    expect(matches(source, "a".repeat(400))).toBe(false);
  }
  expect(cpuTime() - started).toBeLessThan(500);
});

test("the work of all matches together is bounded", () => {
  const started = cpuTime();
  const nested = `${"(?=(.*)*".repeat(20)}${")".repeat(20)}.*b`;
  const regex = compileRegex(nested, regexBudget());
  expect(() => {
    for (let i = 0; i < 1e6; i++) regex.fullMatch("a".repeat(400));
  }).toThrow(new RegexError("that takes less work to match"));
  expect(cpuTime() - started).toBeLessThan(1000);
});
