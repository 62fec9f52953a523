import { expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { resolveDataset } from "../../../core/io/hub.ts";
import { COMMIT, hashOf, large, text } from "./fake-hub.ts";
import { hubWithCache, offline } from "./hub-cache.ts";
import { rejection } from "./scratch.ts";

const setUp = hubWithCache();

const GLUE = {
  "README.md": text(""),
  "cola/train-00000-of-00001.parquet": large("cola"),
  "mnli/train-00000-of-00002.parquet": large("m0"),
  "mnli/train-00001-of-00002.parquet": large("m1"),
  "mnli/validation_matched-00000-of-00001.parquet": large("mm"),
};

test("one configuration of a dataset: its splits, each with its files in order", async () => {
  const s = setUp(GLUE, "datasets");
  const { dir, splits } = await resolveDataset("org/name", "mnli", s.options);
  expect(dir).toBe(s.snapshot);
  expect(Object.fromEntries(splits)).toEqual({
    train: [0, 1].map((i) => join(dir, `mnli/train-0000${i}-of-00002.parquet`)),
    validation_matched: [join(dir, "mnli/validation_matched-00000-of-00001.parquet")],
  });
  expect(existsSync(join(dir, "cola"))).toBe(false);
  expect(readlinkSync(splits.get("train")![0]!)).toBe(
    `../../../blobs/${hashOf(GLUE["mnli/train-00000-of-00002.parquet"])}`,
  );
  expect((await resolveDataset(dir, "mnli", s.options)).splits).toEqual(splits);
  expect((await resolveDataset("org/name", "mnli", offline(s))).splits).toEqual(splits);
});

test("a dataset's layouts: one configuration, plain names, and the hub's automatic conversion", async () => {
  for (const [files, config, expected] of [
    [["plain_text/train-00000-of-00001.parquet"], undefined, "train"],
    [["data/train-00000-of-00001.parquet", "other/x.parquet"], undefined, "train"],
    [["data/validation.parquet"], "default", "validation"],
    [["3.0.0/test-00000-of-00001.parquet", "2.0.0/test-00000-of-00001.parquet"], "3.0.0", "test"],
    [["default/train/0000.parquet", "default/train/0001.parquet"], undefined, "train"],
    [["rte/partial-train/0000.parquet", "cola/train/0000.parquet"], "rte", "train"],
  ] as const) {
    const s = setUp(Object.fromEntries(files.map((file) => [file, large(file)])), "datasets");
    const { splits } = await resolveDataset("org/name@refs/convert/parquet", config, s.options);
    expect([...splits.keys()]).toEqual([expected]);
    expect(readFileSync(join(s.repo, "refs/refs/convert/parquet"), "utf8")).toBe(COMMIT);
  }
});

test("a missing, unnamed or incomplete configuration is reported", async () => {
  const s = setUp(GLUE, "datasets");
  const message = async (config?: string) =>
    (await rejection(resolveDataset("org/name", config, s.options))).message;
  expect(await message("rte")).toBe(`org/name: has no configuration "rte": found cola, mnli`);
  expect(await message()).toBe("org/name: has several configurations: found cola, mnli");
  const { "mnli/train-00000-of-00002.parquet": _lost, ...rest } = GLUE;
  s.hub.repo.files = rest;
  expect(await message("mnli")).toBe(`org/name: has 1 of the 2 files of split "train"`);
  s.hub.repo.files = { "README.md": text("") };
  const error = await rejection(resolveDataset("org/name", "rte", s.options));
  expect(error.message).toBe("org/name: has no parquet files");
  expect(error.hint).toBe("try the hub's automatic conversion: org/name@refs/convert/parquet");
});
