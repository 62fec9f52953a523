import { expect, test } from "bun:test";
import { errors } from "../../core/errors.ts";
import { cutText, excerpt, firstOf, shownShape } from "../../core/excerpt.ts";
import { cpuTime } from "../helpers/cpu-time.ts";

test("a short value is shown as JSON", () => {
  for (const value of [null, true, 1.5, "a\n", [], {}, [1, "b", null], { a: { b: [2] } }]) {
    expect(excerpt(value)).toBe(JSON.stringify(value));
  }
  expect(excerpt(undefined)).toBe("undefined");
  expect(excerpt(12n)).toBe("12");
});

test("a value of any size, depth or cycle is cut, and costs nothing", () => {
  const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));
  const cyclic: unknown[] = [];
  cyclic.push(cyclic, { cyclic });
  const started = cpuTime();
  for (const value of [
    "x".repeat(2e7),
    Array.from({ length: 1e6 }, (_, i) => i),
    { ["k".repeat(1e6)]: "v".repeat(1e6) },
    deep,
    cyclic,
  ]) {
    expect(excerpt(value).length).toBeLessThan(400);
  }
  expect(excerpt("x".repeat(100))).toBe(`"${"x".repeat(80)}…"`);
  expect(cpuTime() - started).toBeLessThan(1000);
});

test("a text is not cut inside a character", () => {
  expect(cutText("ab🙂", 3)).toBe("ab\ufffd…");
  expect(cutText("abc", 3)).toBe("abc");
});

test("a file's text is one line, without commands for a terminal", () => {
  expect(cutText("a\nb\u001b[31m\u009b\u2028\u202e")).toBe(
    String.raw`a\u000ab\u001b[31m\u009b\u2028\u202e`,
  );
  expect(excerpt("a\nb\u007f\u2066")).toBe(String.raw`"a\nb\u007f\u2066"`);
  expect(excerpt("\0".repeat(1000)).length).toBeLessThan(120);
  expect(cutText("é 漢 🙂 \u0301")).toBe("é 漢 🙂 \u0301");
});

test("a shape of any rank is one short text", () => {
  expect(shownShape([2, 3])).toBe("[2, 3]");
  expect(shownShape(Array.from({ length: 1e5 }, () => 1)).length).toBeLessThan(100);
});

test("a list of names ends with an ellipsis where some are left out, and each name is cut", () => {
  expect(firstOf(["a", "b"], 2)).toBe("a, b");
  expect(firstOf([3, 1, 2], 2)).toBe("3, 1, …");
  expect(firstOf(["x".repeat(1e6), "\n"], 3)).toBe(`${"x".repeat(80)}…, ${String.raw`\u000a`}`);
});

test("an error of a config doesn't repeat a large value", () => {
  const { message } = errors.config("c.json", "k", "a number", "x".repeat(1e6));
  expect(message).toStartWith('c.json: "k" must be a number, got "xxx');
  expect(message.length).toBeLessThan(200);
});
