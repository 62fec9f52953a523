import { describe, expect, test } from "bun:test";
import { jsonFault } from "../../../core/io/json-fault.ts";
import { type JsonPath, lineOf } from "../../../core/data/json-line.ts";

const text = `{
  "data": [
    {"a": "x\\n\\"]", "b": [1, -2.5e3,
      null]},
    {
      "a": true
    },
    []
  ],
  "data2": {}, "twice": 1,
  "twice": 2
}
`;

describe("the line of a value", () => {
  const cases: [JsonPath, number, string][] = [
    [[], 2, "an object's is that of its first key"],
    [["data"], 2, "a member's is that of its key"],
    [["data", 0], 3, "a key on the line of the brace"],
    [["data", 0, "b", 2], 4, "an element on the line after, behind a string with a bracket"],
    [["data", 1], 6, "a first key on the line after the brace"],
    [["data", 2], 8, "an empty list"],
    [["data2"], 10, "a key that begins with another"],
    [["twice"], 11, "of two keys of one name, the last"],
    [["data", 0, "c"], 3, "a missing key: that of its object"],
    [["data", 7], 2, "a missing element: that of its list"],
  ];
  for (const [path, line, what] of cases) {
    test(`${JSON.stringify(path)}: ${what}`, () => expect(lineOf(text, path)).toBe(line));
  }
});

describe("the fault of text that is not JSON", () => {
  const cases: Record<string, ReturnType<typeof jsonFault>> = {
    '{"a": 1,\n "b": [': { line: 2, isCutShort: true },
    '["x': { line: 1, isCutShort: true },
    '["\\u12': { line: 1, isCutShort: false },
    '{"a": 1,\n}': { line: 2, isCutShort: false },
    '{"a"\n: "b\nc"}': { line: 2, isCutShort: false },
    "[1\n2]": { line: 2, isCutShort: false },
    "{'a': 1}": { line: 1, isCutShort: false },
    "[1}": { line: 1, isCutShort: false },
    "[]\n]": { line: 2, isCutShort: false },
    "[01]": { line: 1, isCutShort: false },
    ' {"a": [1, {}, "\\"", null]} ': undefined,
  };
  for (const [broken, fault] of Object.entries(cases)) {
    test(JSON.stringify(broken), () => expect(jsonFault(broken)).toEqual(fault));
  }
});
