import { expect, test } from "bun:test";
import { isWhiteSpace, splitWords, strip, stripStart } from "../../../core/text/white-space.ts";

test("white space is Python's: str.isspace of every code point below U+10000", () => {
  const spaces = Array.from({ length: 0x10000 }, (_, unit) => unit).filter(isWhiteSpace);
  // [c for c in range(0x10000) if chr(c).isspace()]
  const python = [
    9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198,
    8199, 8200, 8201, 8202, 8232, 8233, 8239, 8287, 12288,
  ];
  expect(spaces).toEqual(python);
});

test("words are separated by white space", () => {
  expect(splitWords(" a\u001cb  c\ufeffd\u3000")).toEqual(["a", "b", "c\ufeffd"]);
  expect(splitWords(" \n")).toEqual([]);
});

test("white space is removed from the start, or from both ends, but not inside", () => {
  expect(stripStart("\u0085 a b ")).toBe("a b ");
  expect(strip("\u0085 a b \u001f")).toBe("a b");
  expect(strip(" \n ")).toBe("");
});
