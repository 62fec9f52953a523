import { expect, test } from "bun:test";
import { createFamilies } from "../../../core/model/families.ts";
import type { ModelPlugin } from "../../../core/model/plugin.ts";
import { plugins } from "../../../plugins/index.ts";
import { outsidePlugin } from "../../helpers/outside.ts";

const family = (file: string, fields: Partial<ModelPlugin> = {}) => ({
  plugin: { ...(outsidePlugin as ModelPlugin), ...fields },
  origin: { file, files: [file], digest: file },
});

test("a family from outside takes precedence over one of the program", () => {
  const families = createFamilies(plugins, [family("a.ts", { modelTypes: ["bart", "mine"] })]);
  expect(families.familyOf("bart").origin?.file).toBe("a.ts");
  expect(families.familyOf("mine").origin?.file).toBe("a.ts");
  expect(families.familyOf("deberta-v2")).toMatchObject({ origin: undefined });
});

test("two from outside for one model type are refused", () => {
  expect(() => createFamilies(plugins, [family("a.ts"), family("b.ts")])).toThrow(
    'b.ts: model_type "tiny-outside" is handled by a.ts too',
  );
});

test("an unknown model type is an error that says how to add it", () => {
  const families = createFamilies(plugins, [family("a.ts")]);
  try {
    families.familyOf("bert");
    throw new Error("an error is expected");
  } catch (error) {
    expect(error).toMatchObject({
      code: "E_MODEL_TYPE",
      hint: "known: tiny-outside, deberta-v2, bart, modernbert; --plugin FILE|PACKAGE adds a family, and adalora plugin new NAME starts one",
    });
  }
});
