import { expect, test } from "bun:test";
import { insideModules, parsePattern } from "../../../core/io/peft-patterns.ts";
import { cpuTime } from "../../helpers/cpu-time.ts";
import { failure } from "./scratch.ts";

test("the work of patterns and saved modules is linear in their number", () => {
  const names = Array.from({ length: 50_000 }, (_, i) => `layer.${i}.query`);
  const started = cpuTime();
  const lookUp = parsePattern({ p: Object.fromEntries(names.map((n, i) => [n, i + 1])) }, "p", "c");
  expect(names.every((name, i) => lookUp(`base.${name}`) === i + 1)).toBe(true);
  const isSaved = insideModules(names);
  expect(names.every((name) => isSaved(`base.${name}.weight`) && !isSaved(name))).toBe(true);
  expect(cpuTime() - started).toBeLessThan(2000);
});

test("a pattern's plain dot stands for any character, an escaped one for itself", () => {
  const keys = {
    "value.proj": 1,
    [String.raw`layer\.1\.key_proj`]: 2,
    "^a.b": 3,
    "b|c.": 4,
    ".": 5,
  };
  const lookUp = parsePattern({ p: keys }, "p", "config");
  const paths = ["x.value_proj", "x.value.proj", "layer.1.key_proj", "layer_1_key_proj", "a.b"];
  expect(paths.map(lookUp)).toEqual([1, 1, 2, undefined, 3]);
  expect(["x.a_b", "x.b", "x.cd", "x.d", "x.de"].map(lookUp)).toEqual([
    undefined,
    4,
    4,
    5,
    undefined,
  ]);
});

test("hostile patterns are refused in bounded time, with file and key", () => {
  const started = cpuTime();
  const paths = Array.from({ length: 2000 }, (_, i) => `${"a.".repeat(200)}${i}`);
  const dots = (i: number) =>
    Array.from(i.toString(2).padStart(16, "0"), (bit) => (bit === "1" ? "." : "a"));
  for (const keys of [
    { [`${"(.*)".repeat(20)}x`]: 1 },
    Object.fromEntries(
      Array.from({ length: 60_000 }, (_, i) => [dots(i).join("").padEnd(300, "."), 1]),
    ),
    Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`(a|b){1,9}${i}`, 1])),
  ]) {
    const lookUp = parsePattern({ p: keys }, "p", "config");
    expect(failure(() => paths.forEach(lookUp)).message).toStartWith(
      `config: "p" must be a regular expression that takes less work to match, got `,
    );
  }
  expect(cpuTime() - started).toBeLessThan(3000);
  const proto = JSON.parse('{"p": {"__proto__": 1}}');
  expect(failure(() => parsePattern(proto, "p", "config")).message).toBe(
    `config: "p" must be keyed by module names, got "__proto__"`,
  );
});
