import { expect, test } from "bun:test";
import { labelled, pageWidth, wrapped } from "../../cli/wrap.ts";
import { fakeOutput } from "./fake-output.ts";

test("text breaks at spaces; a longer word stays whole", () => {
  expect(wrapped("one two three", 7)).toEqual(["one two", "three"]);
  expect(wrapped("a /very/long/path b", 6)).toEqual(["a", "/very/long/path", "b"]);
});

test("lines below the first are indented as far as the label", () => {
  expect(labelled("data", "one two three", { indent: 6, width: 13 })).toBe(
    "data  one two\n      three",
  );
  expect(labelled("data", "one two three", { indent: 6, width: Infinity })).toBe(
    "data  one two three",
  );
});

test("only terminals are wrapped to, and no wider than 100 columns", () => {
  expect(pageWidth(fakeOutput())).toBe(Infinity);
  expect(pageWidth(fakeOutput({ isTerminal: true, columns: 60 }))).toBe(60);
  expect(pageWidth(fakeOutput({ isTerminal: true, columns: 200 }))).toBe(100);
});
