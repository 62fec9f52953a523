import { describe, expect, test } from "bun:test";
import { csvRecords } from "../../../core/data/csv.ts";

const records = (text: string) =>
  Array.from(csvRecords(text, "x.csv"), ({ line, fields }) => [line, ...fields]);

describe("RFC 4180", () => {
  test("quoted commas, quotes and line breaks belong to the field, and line numbers stay right", () => {
    expect(records('a,"b,""c"""\n"d\r\ne",f\r\ng,h')).toEqual([
      [1, "a", 'b,"c"'],
      [2, "d\r\ne", "f"],
      [4, "g", "h"],
    ]);
  });

  test("empty fields and a trailing comma count as fields", () => {
    expect(records(',"",\n')).toEqual([[1, "", "", ""]]);
    expect(records("a,")).toEqual([[1, "a", ""]]);
  });

  test("a quote or a lone CR inside a plain field is an ordinary character", () => {
    expect(records('5" nail,a\rb\r\n')).toEqual([[1, '5" nail', "a\rb"]]);
  });

  test("an unclosed quote is reported at the line where it opens", () => {
    expect(() => records('a\n"b\nc\n')).toThrow(
      "x.csv:2: a quoted field starts here and is never closed",
    );
  });

  test("text after a closing quote is reported at its line", () => {
    expect(() => records('a\n"b\nc"d,e\n')).toThrow(
      'x.csv:3: text after a closing quote: got "d,e\\n"',
    );
  });
});
