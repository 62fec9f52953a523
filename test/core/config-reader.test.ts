import { describe, expect, test } from "bun:test";
import { configReader } from "../../core/config-reader.ts";

const read = (raw: Readonly<Record<string, unknown>>) => configReader(raw, "config.json");

describe("configReader", () => {
  test.each([
    ["gelu", "gelu"],
    ["gelu_pytorch_tanh", "gelu_new"],
    ["swish", "silu"],
  ] as const)("reads the activation %s as %s", (name, kind) => {
    expect(read({ act: name }).activation("act", "tanh")).toBe(kind);
  });

  test("refuses an unknown activation with the known ones", () => {
    expect(() => read({ act: "gelu_magic" }).activation("act", "tanh")).toThrow(
      'config.json: "act" must be one of gelu, gelu_new, relu, silu, tanh, gelu_pytorch_tanh, swish, got "gelu_magic"',
    );
  });

  test("names a default that is out of range, not the key's absence", () => {
    expect(() => read({}).probability("p", 2)).toThrow(
      'config.json: "p" must be a number from 0 to below 1, got 2',
    );
    expect(() => read({ p: null }).probability("p", 2)).toThrow("got 2");
    expect(() => read({}).probability("p")).toThrow("got undefined");
    expect(() => read({ p: null }).probability("p")).toThrow("got null");
  });

  test("check shows the key's value, or that which was read in its place", () => {
    expect(() => read({ dim: 3 }).check("dim", false, "even")).toThrow('"dim" must be even, got 3');
    expect(() => read({}).check("dim", false, "even", 7)).toThrow('"dim" must be even, got 7');
  });
});
