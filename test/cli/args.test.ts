import { describe, expect, test } from "bun:test";
import { parseArgs } from "../../cli/args.ts";
import { integer, names, real, text, toggle } from "../../core/config/setting.ts";

const table = {
  initRank: integer(null, "", { min: 1, aliases: ["lora-r"] }),
  lr: real(1, "", { above: 0, aliases: ["learning-rate"] }),
  input: text(null, ""),
  bucketed: toggle(true, ""),
  plugins: names("", { flag: "plugin" }),
};

const values = (...args: string[]) =>
  Object.fromEntries([...parseArgs(args, table).given].map(([key, { value }]) => [key, value]));

describe("a flag", () => {
  test.each(["--init-rank", "--init_rank", "--initRank", "--lora-r", "--lora_r"])(
    "may be spelled %s",
    (flag) => {
      expect(values(flag, "4")).toEqual({ initRank: 4 });
      expect(values(`${flag}=4`)).toEqual({ initRank: 4 });
    },
  );

  test("of names may be given several times, by its own name too; commas are part of a name", () => {
    expect(values("--plugin", "a,b")).toEqual({ plugins: ["a,b"] });
    expect(values("--plugin", "a", "--plugin=b", "--plugins", "c")).toEqual({
      plugins: ["a", "b", "c"],
    });
    expect(() => values("--plugin", " ")).toThrow("--plugin must be a name, or a list of names");
  });

  test("is remembered as it was typed", () => {
    expect(parseArgs(["--lora_r=4"], table).given.get("initRank")).toEqual({
      value: 4,
      flag: "--lora_r",
    });
  });

  test("takes an inline value with = in it, and - for stdin", () => {
    expect(values("--input=a=b")).toEqual({ input: "a=b" });
    expect(values("--input", "-")).toEqual({ input: "-" });
  });

  test("a switch takes nothing, a literal, or no-", () => {
    expect(values("--bucketed")).toEqual({ bucketed: true });
    expect(values("--bucketed", "False")).toEqual({ bucketed: false });
    expect(values("--bucketed=false")).toEqual({ bucketed: false });
    expect(values("--no-bucketed")).toEqual({ bucketed: false });
    expect(parseArgs(["--bucketed", "rte"], table).positionals).toEqual(["rte"]);
  });
});

test("words without a flag are positionals, and all words after --", () => {
  expect(parseArgs(["rte", "--lr", "1", "x", "--", "--lr"], table).positionals).toEqual([
    "rte",
    "x",
    "--lr",
  ]);
});

describe("a flag of one letter", () => {
  const short = { out: text(null, ""), quiet: toggle(false, "") };
  const parsed = (...args: string[]) => Object.fromEntries(parseArgs(args, short).given);

  test("stands for its long form", () => {
    expect(parsed("-o", "dir", "-q")).toEqual({
      out: { value: "dir", flag: "-o" },
      quiet: { value: true, flag: "-q" },
    });
    expect(parsed("-o=dir")).toMatchObject({ out: { value: "dir" } });
  });

  test("is unknown where the command lacks that, or has no other name", () => {
    expect(() => parseArgs(["-o", "x"], table)).toThrow("unknown flag -o");
    expect(() => parsed("-x")).toThrow("unknown flag -x");
    expect(() => parsed("-o", "a", "--out", "b")).toThrow("--out is given twice");
  });
});

test("a repeated flag counts last where repeats are allowed, and says what it overrides", () => {
  const args = ["--learning_rate", "1", "--init-rank", "2", "--lr", "3"];
  const { given } = parseArgs(args, table, { repeats: true });
  expect([...given]).toEqual([
    ["initRank", { value: 2, flag: "--init-rank" }],
    ["lr", { value: 3, flag: "--lr", overrides: "--learning_rate" }],
  ]);
});

describe("an error names the flag as typed", () => {
  test.each([
    ["unknown", ["--lrr", "1"], "unknown flag --lrr", "did you mean --lr?"],
    [
      "unknown, snake_case",
      ["--learning_rat", "1"],
      "unknown flag --learning_rat",
      "did you mean --learning-rate?",
    ],
    ["unknown, swapped letters", ["--inptu", "1"], "unknown flag --inptu", "did you mean --input?"],
    [
      "unknown, negated",
      ["--no-bucketd"],
      "unknown flag --no-bucketd",
      "did you mean --no-bucketed?",
    ],
    ["unknown, nothing near", ["--frobnicate"], "unknown flag --frobnicate", undefined],
    ["one dash", ["-lr", "1"], "unknown flag --lr", "did you mean --lr?"],
    ["out of range", ["--lr", "-1"], '--lr must be a number above 0, got "-1"', undefined],
    ["empty", ["--lr="], '--lr must be a number above 0, got ""', undefined],
    ["no value", ["--lr"], "--lr needs a value: a number above 0", undefined],
    [
      "a flag for a value",
      ["--lr", "--input", "x"],
      "--lr needs a value: a number above 0",
      undefined,
    ],
    ["twice", ["--lr", "1", "--learning_rate", "2"], "--learning_rate is given twice", undefined],
    ["a negated value", ["--no-lr"], "--lr takes a value: there is no --no-lr", undefined],
    ["no- with a value", ["--no-bucketed=1"], '--no-bucketed takes no value, got "1"', undefined],
    [
      "a wrong literal",
      ["--bucketed=maybe"],
      '--bucketed must be true or false, got "maybe"',
      undefined,
    ],
  ])("%s", (_, args, message, hint) => {
    expect(() => parseArgs(args, table)).toThrow(expect.objectContaining({ message, hint }));
  });
});
