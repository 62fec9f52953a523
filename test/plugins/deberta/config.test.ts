import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { loadWeights } from "../../../core/model/load-weights.ts";
import { declareModel } from "../../../core/model/open-model.ts";
import { deberta } from "../../../plugins/deberta/index.ts";
import { tinyConfig } from "../../helpers/tiny-model.ts";

const parse = (config: object) => deberta.parseConfig({ ...tinyConfig, ...config });

describe("a config.json that transformers cannot run is refused by key", () => {
  test("position_buckets", () => {
    expect(() => parse({ position_buckets: 1 })).toThrow(
      'config.json: "position_buckets" must be 0 or -1 (none) or above 1, got 1',
    );
  });

  test("pooler_hidden_size, where there is a pooler", () => {
    const config = parse({ pooler_hidden_size: 4 });
    expect(() => declareModel(deberta, config, { task: "classification", labels: 2 })).toThrow(
      'config.json: "pooler_hidden_size" must be 8, the hidden_size, got 4',
    );
    expect(declareModel(deberta, config, { task: "span", labels: 2 }).tree).toBeObject();
  });

  test("but not one that it ignores: buckets without relative attention", () => {
    expect(parse({ position_buckets: 1, relative_attention: false }).positionBuckets).toBe(1);
  });
});

describe("keys of the encoder's LayerNorm", () => {
  const keys = ["deberta.encoder.LayerNorm.weight", "encoder.LayerNorm.bias"];
  const load = (config: object) => {
    const head = { task: "classification", labels: 2 } as const;
    const { tree } = declareModel(deberta, parse(config), head);
    const needed = [...tree.parameters.values()].filter(({ name }) => !keys.includes(name));
    const tensors = new Map(
      needed
        .map(({ name, storedShape }): readonly [string, readonly number[]] => [name, storedShape])
        .concat(keys.map((key) => [key, [8]]))
        .map(([name, shape]) => {
          const bytes = new Uint8Array(4 * shape.reduce((a, b) => a * b, 1));
          return [name, { dtype: "F32", shape, bytes }] as const;
        }),
    );
    loadWeights(createReferenceBackend(), tree, tensors, deberta, { where: "here", seed: 1 });
    return [...tree.parameters.keys()].filter((name) => name.includes("encoder.LayerNorm"));
  };

  test("are not needed without relative attention, which alone they normalise", () => {
    expect(load({ relative_attention: false })).toEqual([]);
  });

  test("are refused where config.json has no such norm: the two do not match", () => {
    expect(() => load({ norm_rel_ebd: "none" })).toThrow(
      "2 keys are neither mapped nor ignored by plugin",
    );
    expect(load({})).toHaveLength(2);
  });
});
