import { describe, expect, test } from "bun:test";
import { printable, printableLines, shortened } from "../../cli/printable.ts";

test("controls, line ends and marks that reorder text are shown, not obeyed", () => {
  expect(printable("a\nb\r\n\tc")).toBe("a\\nb\\r\\n\\tc");
  expect(printable("\x1b[2J\x00\x07\x08")).toBe("\\x1b[2J\\x00\\x07\\x08");
  expect(printable("\x7f\x9b31m\x85")).toBe("\\u007f\\u009b31m\\u0085");
  expect(printable("\u202e\u2066\u2069\u200f\u061c\u2028")).toBe(
    "\\u202e\\u2066\\u2069\\u200f\\u061c\\u2028",
  );
  expect(printable("half \ud800 a pair")).toBe("half \ufffd a pair");
  const plain = "naïve 日本語 שלום 👩‍👩‍👧 Ω";
  expect(printable(plain)).toBe(plain);
});

test("JSON keeps its value", () => {
  const value = { "\x1b\n": "\u009b\u202e\u2028\x7f\t\\n" };
  expect(JSON.parse(printable(JSON.stringify(value)))).toEqual(value);
});

test("lines keep their ends, and colours where they are wanted", () => {
  const text = "\x1b[1mtitle\x1b[0m\nrow\r\x1b[2K\x1b[5m";
  expect(printableLines(text, true)).toBe("\x1b[1mtitle\x1b[0m\nrow\\r\\x1b[2K\\x1b[5m");
  expect(printableLines(text)).toBe("\\x1b[1mtitle\\x1b[0m\nrow\\r\\x1b[2K\\x1b[5m");
});

describe("a message", () => {
  test("of a page is whole", () => {
    expect(shortened("x".repeat(1000))).toBe("x".repeat(1000));
  });

  test("that is longer keeps its start and its end", () => {
    const text = shortened(`start ${"x".repeat(100_000)} end`);
    expect(text).toMatch(/^start x+ … \(99010 characters left out\) … x+ end$/);
    expect(text.length).toBeLessThan(1100);
  });
});
