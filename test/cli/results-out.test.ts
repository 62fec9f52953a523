import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clearResults, resultsOut } from "../../cli/results-out.ts";

let dir = "";
const fresh = (out: string | null) => resultsOut({ out, overwrite: false });
const over = (out: string | null) => resultsOut({ out, overwrite: true });
const write = (name: string) => writeFileSync(join(dir, name), "");

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "adalora-results-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

test.each([
  ["p.csv", "csv"],
  ["p.TSV", "tsv"],
  ["deep/p.jsonl", "jsonl"],
  ["p", undefined],
  ["p.json", undefined],
] as const)("--out %s has the format %p; nothing is created", (name, format) => {
  const path = join(dir, name);
  expect(fresh(path)).toEqual({ path, format });
  expect(readdirSync(dir)).toEqual([]);
});

describe("existing results", () => {
  test("in a file are an error, unless they may be replaced", () => {
    write("p.csv");
    const path = join(dir, "p.csv");
    expect(() => fresh(path)).toThrow(`${path} already exists`);
    expect(over(path)).toEqual({ path, format: "csv" });
  });

  test.each(["predictions.jsonl", "predictions_test.jsonl", "metrics.json", "null_odds.json"])(
    "in a folder are too: %s",
    (name) => {
      write("notes.txt");
      expect(fresh(dir)).toEqual({ path: dir, format: undefined });
      write(name);
      expect(() => fresh(dir)).toThrow(`${join(dir, name)} already exists`);
      expect(over(dir)).toEqual({ path: dir, format: undefined });
    },
  );

  test("are removed where others replace them, submissions included", () => {
    const results = ["RTE.tsv", "MNLI-m_test_matched.tsv", "predictions.json", "metrics.json"];
    for (const name of [...results, "notes.txt", "RTE-mine.tsv", "predictions.csv"]) write(name);
    clearResults(dir);
    expect(readdirSync(dir).toSorted()).toEqual(["RTE-mine.tsv", "notes.txt", "predictions.csv"]);
    clearResults(join(dir, "none"));
  });
});

test("a run's folder takes no results that would be mistaken for its own", () => {
  write("config.json");
  write("predictions.jsonl");
  expect(() => over(dir)).toThrow(`${dir} holds a run`);
  const own = join(dir, "predictions.jsonl");
  expect(() => over(own)).toThrow(`${own} would be mistaken for a file of the run beside it`);
  expect(fresh(join(dir, "mine.csv"))).toMatchObject({ format: "csv" });
});

test("a folder is no file, and a file no folder", () => {
  mkdirSync(join(dir, "x.csv"));
  write("file");
  expect(() => over(join(dir, "x.csv"))).toThrow("x.csv is a folder");
  expect(() => over(join(dir, "file"))).toThrow("file is a file, not a folder");
  expect(() => over(join(dir, "file", "p.csv"))).toThrow("is a file, not a folder");
  expect(existsSync(join(dir, "file", "p.csv"))).toBe(false);
});

test("--overwrite without --out is an error", () => {
  expect(fresh(null)).toBeNull();
  expect(() => over(null)).toThrow("no --out given");
});
