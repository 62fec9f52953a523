import { expect, test } from "bun:test";
import {
  choice,
  integer,
  integers,
  list,
  real,
  stepCount,
  text,
  toggle,
  withoutDefaults,
} from "../../../core/config/setting.ts";

const table = [
  [real(0, "", { above: 0, max: 1 }), "1e-3", 1e-3],
  [real(0, "", { above: 0, max: 1 }), "0.", undefined],
  [real(0, "", { min: 0, below: 1 }), "0.", 0],
  [real(0, "", { min: 0, below: 1 }), "1", undefined],
  [real(0, ""), ".5", 0.5],
  [real(0, ""), "", undefined],
  [real(0, ""), "0x10", undefined],
  [real(0, ""), "Infinity", undefined],
  [real(0, ""), Number.NaN, undefined],
  [real(0, "", { min: 0, off: true }), "none", 0],
  [real(0, "", { min: 0 }), "none", undefined],
  [integer(1, "", { min: 1 }), "3", 3],
  [integer(1, "", { min: 1 }), 3, 3],
  [integer(1, "", { min: 1 }), "3.5", undefined],
  [integer(1, "", { min: 1 }), "0", undefined],
  [integer(1, "", { min: 1 }), true, undefined],
  [
    choice(["cosine_with_restarts", "linear"], "linear", ""),
    "Cosine-With-Restarts",
    "cosine_with_restarts",
  ],
  [choice(["stsb"], "stsb", ""), "STS-B", "stsb"],
  [choice(["stsb"], "stsb", ""), "sst2", undefined],
  [text(null, ""), "a b", "a b"],
  [text(null, ""), " ", undefined],
  [text(null, "", { pattern: /^\d+M$/ }), "32M", "32M"],
  [text(null, "", { pattern: /^\d+M$/ }), "32Mb", undefined],
  [list(""), "query, layer.output", ["query", "layer.output"]],
  [list(""), ["query"], ["query"]],
  [list(""), "query,,key", undefined],
  [list(""), [], undefined],
  [list(""), ["query", 3], undefined],
  [integers(""), "1,2", [1, 2]],
  [integers(""), "1,x", undefined],
  [integers(""), "1,2,1", undefined],
  [toggle(false, ""), "True", true],
  [toggle(false, ""), false, false],
  [toggle(false, ""), "yes", undefined],
  [stepCount(0, ""), "600", 600],
  [stepCount(0, ""), "12.5%", "12.5%"],
  [stepCount(0, ""), "100%", undefined],
  [stepCount(0, ""), "0.5", undefined],
  [stepCount(0, ""), "-1", undefined],
] as const;

for (const [setting, raw, value] of table) {
  const verdict = value === undefined ? "is refused" : `is ${JSON.stringify(value)}`;
  test(`${JSON.stringify(raw)} as ${setting.want} ${verdict}`, () => {
    expect(setting.read(raw)).toEqual(value);
  });
}

test("the expected number is described with its range", () => {
  expect(real(0, "", { above: 0, below: 1 }).want).toBe("a number above 0 and below 1");
  expect(integer(0, "", { min: 0, off: true }).want).toBe(
    'a whole number from 0 (0 or "none": off)',
  );
});

test("settings without defaults are left to the run, but parsed as before", () => {
  const { many, column } = withoutDefaults({
    many: integer(3, "how many", { min: 1, aliases: ["count"] }),
    column: text(null, "the column (default: the task's)"),
  });
  expect([many.fallback, many.about, many.aliases]).toEqual([
    null,
    "how many (default: the run's)",
    ["count"],
  ]);
  expect([many.read("4"), many.read("0")]).toEqual([4, undefined]);
  expect(column.about).toBe("the column (default: the run's)");
});
