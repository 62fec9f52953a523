import { describe, expect, test } from "bun:test";
import { declareModel } from "../../../core/model/open-model.ts";
import { attachAdapters, selectLinears } from "../../../core/model/select-linears.ts";
import { deberta } from "../../../plugins/deberta/index.ts";
import { tinyConfig } from "../../helpers/tiny-model.ts";

function treeOf(config: object = {}) {
  const parsed = deberta.parseConfig({ ...tinyConfig, num_hidden_layers: 3, ...config });
  return declareModel(deberta, parsed, { task: "classification", labels: 2 }).tree;
}

const pathsOf = (modules?: readonly string[], config?: object) =>
  selectLinears(treeOf(config), deberta, modules).map(({ path }) => path);

describe("short names", () => {
  test("all of them select six matrices per layer, in model order", () => {
    const layer = (i: number) =>
      [
        "attention.self.query_proj",
        "attention.self.key_proj",
        "attention.self.value_proj",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
      ].map((name) => `deberta.encoder.layer.${i}.${name}`);
    expect(pathsOf()).toEqual([...layer(0), ...layer(1), ...layer(2)]);
  });

  test("position projections, pooler and classifier are never selected", () => {
    const own = { share_att_key: false };
    const { linears } = treeOf(own);
    expect([...linears.keys()].filter((path) => /pos_(key|query)_proj/.test(path))).toHaveLength(6);
    expect(pathsOf(undefined, own)).toEqual(pathsOf());
    expect(pathsOf().some((path) => /pooler|classifier|pos_/.test(path))).toBe(false);
  });

  test("layer.output is the feed-forward block's, attention.output attention's", () => {
    expect(pathsOf(["layer.output"])).toEqual(
      [0, 1, 2].map((i) => `deberta.encoder.layer.${i}.output.dense`),
    );
    expect(pathsOf(["attention.output"])).toEqual(
      [0, 1, 2].map((i) => `deberta.encoder.layer.${i}.attention.output.dense`),
    );
  });

  test("two names select in model order, however they are listed, and nothing twice", () => {
    const both = pathsOf(["value", "query"]);
    expect(both).toEqual(pathsOf(["query", "value", "query"]));
    expect(both).toHaveLength(6);
    expect(both[0]).toEndWith("query_proj");
  });

  test("an unknown name is an error that lists the known ones", () => {
    expect(() => pathsOf(["query", "querry"])).toThrow(
      'no module of this model is called "querry"',
    );
    try {
      pathsOf(["q"]);
      throw new Error("expected an error");
    } catch (error) {
      expect(error).toMatchObject({
        code: "E_MODULES",
        hint: "known: query, key, value, intermediate, layer.output, attention.output; --modules chooses among them",
      });
    }
  });

  test("a name that every object has is unknown too", () => {
    expect(() => pathsOf(["constructor"])).toThrow('is called "constructor"');
  });

  test("a pattern that matches a layer trained in full is an error", () => {
    const modules = { ...deberta.adapters.modules, all: /./ };
    const family = { name: "mine", adapters: { ...deberta.adapters, modules } };
    expect(() => selectLinears(treeOf(), family)).toThrow(
      /^plugin "mine": adapters\.modules "all" matches \S+, which adapters\.trainable trains in full$/,
    );
  });

  test("a pattern that matches no layer is an error that shows the layers", () => {
    const modules = { ...deberta.adapters.modules, pooler: /pooler\.out$/ };
    const family = { name: "mine", adapters: { ...deberta.adapters, modules } };
    const select = () => selectLinears(treeOf(), family);
    expect(select).toThrow(
      'plugin "mine": adapters.modules "pooler" matches no linear layer of this model: got /pooler\\.out$/',
    );
    expect(select).toThrow(
      expect.objectContaining({
        hint: expect.stringMatching(/^its \d+ linear layers: deberta\.encoder\.layer\.0\./),
      }),
    );
  });
});

describe("attachAdapters", () => {
  test("each layer gets factors of matching shapes with PEFT's names", () => {
    const tree = treeOf();
    const linears = selectLinears(tree, deberta, ["intermediate"]);
    const adapters = attachAdapters(linears, { rank: 5, scale: 2, svd: true, dropout: 0.1 });
    const path = "deberta.encoder.layer.1.intermediate.dense";
    const [, adapter] = adapters;
    expect(adapters).toHaveLength(3);
    expect(tree.linears.get(path)?.adapter).toBe(adapter);
    expect(adapter).toMatchObject({ path, rank: 5, scale: 2, dropout: 0.1 });
    const shapes = [adapter?.a, adapter?.e, adapter?.b].map((p) => [p?.name, p?.shape]);
    expect(shapes).toEqual([
      [`${path}.lora_A`, [5, 8]],
      [`${path}.lora_E`, [5, 1]],
      [`${path}.lora_B`, [12, 5]],
    ]);
  });

  test("LoRA has no E", () => {
    const linears = selectLinears(treeOf(), deberta, ["query"]);
    const adapters = attachAdapters(linears, { rank: 2, scale: 1, svd: false });
    expect(adapters.map(({ e }) => e)).toEqual([undefined, undefined, undefined]);
  });
});
