import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readConfigFile } from "../../cli/config-file.ts";
import { AdaloraError } from "../../core/errors.ts";
import { configToJson, resolveConfig } from "../../core/config/run-config.ts";
import { cpuTime } from "../helpers/cpu-time.ts";

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

describe("a hostile file is one error, soon", () => {
  const thrown = (name: string, text: string): string => {
    const started = cpuTime();
    try {
      read(name, text);
    } catch (error) {
      if (!(error instanceof AdaloraError)) throw error;
      expect(cpuTime() - started).toBeLessThan(2000);
      expect(error.message.length).toBeLessThan(500);
      return error.message;
    }
    throw new Error("it was read");
  };

  test("20,000 lines with an error in one", () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => `# ${i}`);
    lines[15_000] = "b = c";
    expect(thrown("long.toml", lines.join("\n"))).toContain(":15001: TOML Parse error");
  });

  test("lines that a parser takes long for are not searched for the first of them", () => {
    expect(thrown("slow.yaml", "a]b: &x [*x]\n".repeat(15_000))).toContain("nested too deep");
  });

  test("15,000 unknown keys", () => {
    const keys = Array.from({ length: 15_000 }, (_, i) => `k${i}: 1`);
    expect(thrown("keys.yaml", keys.join("\n"))).toContain('unknown key "k0"');
  });

  test("a YAML value that holds itself", () => {
    expect(thrown("cycle.yaml", "seed: &x [*x]\n")).toContain('"seed" must be');
    expect(thrown("top.yaml", "&x [*x]\n")).toContain("must hold keys and values");
  });

  test("a key, a value and a file without end", () => {
    expect(thrown("key.yaml", `${"k".repeat(150_000)}: 1\n`)).toContain("unknown key");
    expect(thrown("value.yaml", `seed: ${"v".repeat(150_000)}\n`)).toContain('"seed" must be');
    expect(thrown("deep.yaml", `seed: ${"[".repeat(150_000)}`)).toContain("deep.yaml");
    expect(thrown("big.toml", "#".repeat(2_000_000))).toContain("at most 200000 bytes");
  });

  test("a pipe, or a name that is too long", () => {
    const pipe = join(folder, "pipe.toml");
    expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
    expect(() => readConfigFile(pipe)).toThrow("is not a regular file");
    expect(() => readConfigFile(`${"x".repeat(300)}.toml`)).toThrow("the path is too long");
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
    ["b.toml", "zzz = 2\n", ':1: unknown key "zzz"', "adalora run --help-all lists them all"],
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

  test("a run's folder, with how to go on with it", () => {
    const run = dirname(file("config.json", "{}"));
    expect(() => readConfigFile(run)).toThrow(
      expect.objectContaining({
        hint: "a run's folder is named by --out: adalora run --resume --out FOLDER continues it",
      }),
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
