import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debertaTokenizer } from "../../../core/text/families/deberta.ts";
import { openTable } from "../../../core/data/open-table.ts";
import { createWarnings } from "../../../core/data/warnings.ts";
import { openCheckpoint } from "../../../core/io/checkpoint-files.ts";
import { openCachedRepo } from "../../../core/io/hub-cache.ts";
import { hubSettings } from "../../../core/io/hub-settings.ts";
import { readJsonObject } from "../../../core/io/json-file.ts";
import { openJsonLog } from "../../../core/io/jsonl.ts";
import { isFolder, readRegular } from "../../../core/io/regular-file.ts";
import { openSafetensors } from "../../../core/io/safetensors.ts";
import { openTorchCheckpoint } from "../../../core/io/torch-pickle.ts";
import { readTokenizer } from "../../../core/text/load-tokenizer.ts";
import { failure, rejection } from "./scratch.ts";

const dir = mkdtempSync(join(tmpdir(), "adalora-pipes-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A named pipe without a writer: reading it blocks forever. */
function pipe(name: string): string {
  const path = join(dir, name);
  mkdirSync(join(path, ".."), { recursive: true });
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  return path;
}

const READERS: readonly [name: string, read: (path: string) => unknown][] = [
  ["a.json", readJsonObject],
  ["model.safetensors", openSafetensors],
  ["pytorch_model.bin", openTorchCheckpoint],
  ["b/model.safetensors", (path) => openCheckpoint(join(path, ".."))],
  ["log.jsonl", (path) => openJsonLog(path, { resumeAfter: 1 })],
  ["c/tokenizer.json", (path) => readTokenizer(join(path, ".."), debertaTokenizer)],
  ["token", (path) => hubSettings({ HF_TOKEN_PATH: path })],
  [
    "hub/models--a--b/refs/main",
    () => openCachedRepo(join(dir, "hub"), { type: "model", name: "a/b", revision: "main" }),
  ],
];

for (const [name, read] of READERS) {
  test(`a pipe in the place of ${name} is an error, not a wait`, () => {
    const path = pipe(name);
    expect(failure(() => read(path)).message).toBe(`${path}: is not a regular file`);
  });
}

test("a pipe in the place of a table is an error, not a wait", async () => {
  const path = pipe("rows.tsv");
  const open = async () =>
    openTable(path, { role: "train", hasHeader: true, warnings: createWarnings() });
  expect((await rejection(open())).message).toBe(`${path}: is not a regular file`);
});

test("a device is refused, a link to a file is read", () => {
  expect(failure(() => readRegular("/dev/zero")).message).toContain("is not a regular file");
  expect(failure(() => readRegular(dir)).message).toContain("is a folder, not a file");
  writeFileSync(join(dir, "file"), "text");
  symlinkSync("file", join(dir, "link"));
  expect(readRegular(join(dir, "link")).toString()).toBe("text");
});

test("a path that the system refuses is the user's error", () => {
  const long = "x".repeat(5000);
  expect(failure(() => readRegular(long)).message).toEndWith("…: the path is too long");
  expect(failure(() => isFolder(long)).message).toEndWith("the path is too long");
  symlinkSync("loop", join(dir, "loop"));
  expect(failure(() => isFolder(join(dir, "loop"))).message).toContain("symbolic links");
  expect(failure(() => isFolder("a\0b")).message).toContain("NUL");
  expect(isFolder(join(dir, "none"))).toBe(false);
});
