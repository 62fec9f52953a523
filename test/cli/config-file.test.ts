import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfigFile } from "../../cli/config-file.ts";
import { configToJson, resolveConfig } from "../../core/config/run-config.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "adalora-config-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const read = (name: string, text: string): unknown => readConfigFile(file(name, text)).values;

describe("keys and values", () => {
  const values = { initRank: 4, lr: 1e-3, initWarmup: "10%", modules: ["query", "key"] };
  test.each([
    [
      "a.toml",
      '\uFEFFlora_r = 4\nlearning_rate = 1e-3\ninit-warmup = "10%"\nmodules = ["query", "key"]\n',
    ],
    ["a.yaml", "initRank: 4\nlr: 1e-3\ninit_warmup: 10%\nmodules: query,key\ndropout: null\n"],
    [
      "a.json",
      '{"init_rank": 4, "lr": "1e-3", "init-warmup": "10%", "modules": ["query", "key"], "dropout": null}',
    ],
  ])("of %s", (name, text) => {
    expect(read(name, text)).toEqual(values);
  });

  test("a run's config.json gives the run again", () => {
    const first = resolveConfig([
      {
        values: { task: "rte", model: "dir", budget: "0.32M", maxSteps: 40, threads: 2 },
        name: String,
      },
    ]);
    const path = file("config.json", JSON.stringify(configToJson(first)));
    expect(resolveConfig([readConfigFile(path)])).toEqual(first);
  });
});

describe("an error names file, line and key", () => {
  test.each([
    ["b.toml", "lr = 1\n\n\nb = c\n", ":4: TOML Parse error", undefined],
    ["b.toml", "modules = [\n 'query',\n", ":1: TOML Parse error: Unterminated array", undefined],
    ["b.yaml", "lr: 1\nmodules: [query\nseed: 1\n", ":2: YAML Parse error", undefined],
    ["b.json", '{"lr": 1,\n "seed": }', ":2: JSON Parse error: Unexpected token", undefined],
    ["b.json", "", ": JSON Parse error: Unexpected EOF", undefined],
    ["b.json", "[1]", ": must hold keys and values", undefined],
    [
      "b.toml",
      "lr = 1\ntarget_rnak = 2\n",
      ':2: unknown key "target_rnak"',
      'did you mean "target_rank"?',
    ],
    ["b.toml", "zzz = 2\n", ':1: unknown key "zzz"', "adalora run --help lists them all"],
    [
      "b.toml",
      'lr = 1\nseed = "x"\n',
      ':2: "seed" must be a whole number from 0, got "x"',
      undefined,
    ],
    [
      "b.toml",
      "lr = 1\nlearning_rate = 2\n",
      ':2: "lr" and "learning_rate" are the same setting',
      undefined,
    ],
    [
      "b.ini",
      "lr = 1\n",
      ": a configuration's name must end in .toml, .yaml, .yml, .json",
      "the argument is a recipe or a configuration file; --data takes data",
    ],
  ])("%s %j", (name, text, message, hint) => {
    const path = file(name, text);
    expect(() => readConfigFile(path)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(path + message), hint }),
    );
  });

  test("a file that isn't there", () => {
    expect(() => readConfigFile("no/such.toml")).toThrow("no/such.toml: does not exist");
  });

  test("two alternatives in one file", () => {
    const path = file("c.toml", 'task = "rte"\nmodel = "dir"\ntarget_rank = 2\nbudget = "1M"\n');
    expect(() => resolveConfig([readConfigFile(path)])).toThrow(
      `${path}: "target_rank" and ${path}: "budget" exclude each other: give one`,
    );
  });
});
