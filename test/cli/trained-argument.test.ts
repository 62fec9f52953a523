import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { trainedArgument } from "../../cli/trained-argument.ts";

const home = mkdtempSync(join(tmpdir(), "adalora-argument-"));
afterAll(() => rmSync(home, { recursive: true }));

function folder(name: string, ...files: readonly string[]): string {
  for (const file of files.map((one) => join(home, name, one))) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, file.endsWith("config.json") ? '{ "task": "rte" }' : "");
  }
  return join(home, name);
}

const none = { adapter: null, model: null };

describe("a first argument", () => {
  const run = folder("run", "config.json", "adapter/adapter_config.json");
  const full = folder("full", "config.json", "best_model/model.safetensors");
  const seeds = folder("seeds", "seed-3/config.json");
  const data = folder("data", "train.tsv");

  test("that is the folder of an adapter or of a run with one is --adapter", () => {
    for (const path of [run, join(run, "adapter"), seeds]) {
      const choice = { adapter: path, model: null, words: ["a text"] };
      expect(trainedArgument([path, "a text"], none)).toEqual(choice);
    }
    const both = { adapter: run, model: null };
    expect(() => trainedArgument([run], both)).toThrow(`${run} and --adapter exclude each other`);
  });

  test("that is the folder of a run that saved its whole model is --model", () => {
    expect(trainedArgument([full], none)).toEqual({ adapter: null, model: full, words: [] });
    const both = { adapter: null, model: full };
    expect(() => trainedArgument([full], both)).toThrow(`${full} and --model exclude each other`);
  });

  test("is a text otherwise, also where a folder has its name", () => {
    for (const words of [["a text", run], [data], []]) {
      expect(trainedArgument(words, none)).toEqual({ ...none, words });
    }
  });
});
