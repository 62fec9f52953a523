import { expect, test } from "bun:test";
import { byteSizePattern, bytesIn } from "../../cli/byte-size.ts";

test.each([
  ["8G", 8 * 2 ** 30],
  ["8GiB", 8 * 2 ** 30],
  ["1.5 gb", 1.5 * 2 ** 30],
  ["500M", 500 * 2 ** 20],
  ["2k", 2048],
  ["1T", 2 ** 40],
  ["4096", 4096],
])("%s is %d bytes", (text, bytes) => {
  expect(bytesIn(text)).toBe(bytes);
});

test.each(["", "G", "8X", "-1G", "8GG"])("%j is no size", (text) => {
  expect(byteSizePattern.test(text)).toBe(false);
});
