import { expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  currentDirectory,
  writeDirectoryAtomic,
  writeFileAtomic,
} from "../../../core/io/atomic.ts";
import { failure, scratchFolder } from "./scratch.ts";

const dir = scratchFolder();
const readText = (path: string) => readFileSync(path, "utf8");
// Linux process ids are at most 2^22, so this one is never alive.
const DEAD = 2 ** 22 + 1;

test("a file is written into missing folders, from text, bytes or chunks, without leftovers", () => {
  const path = join(dir, "new/folders/file");
  writeFileAtomic(path, "text");
  expect(readText(path)).toBe("text");
  writeFileAtomic(path, Buffer.from("bytes"));
  expect(readText(path)).toBe("bytes");
  writeFileAtomic(path, [Buffer.from("pie"), Buffer.from("ces")]);
  expect(readText(path)).toBe("pieces");
  expect(readdirSync(join(dir, "new/folders"))).toEqual(["file"]);
});

test("when writing fails half-way, the old file stays without leftovers", () => {
  const path = join(dir, "half/file");
  writeFileAtomic(path, "old");
  function* failing() {
    yield Buffer.from("new");
    throw new Error("no more");
  }
  expect(failure(() => writeFileAtomic(path, failing())).message).toBe(`${path}: no more`);
  expect(readText(path)).toBe("old");
  expect(readdirSync(join(dir, "half"))).toEqual(["file"]);
});

test("a killed writer's leftovers are removed by the next one; a living writer's are not", () => {
  const folder = join(dir, "leftovers");
  mkdirSync(folder);
  for (const name of [`.f.tmp-${DEAD}`, ".f.tmp-1", `.other.tmp-${DEAD}`, ".f.tmp-x"]) {
    writeFileSync(join(folder, name), "");
  }
  writeFileAtomic(join(folder, "f"), "");
  expect(readdirSync(folder).toSorted()).toEqual([
    ".f.tmp-1",
    ".f.tmp-x",
    `.other.tmp-${DEAD}`,
    "f",
  ]);
});

test("a folder appears whole or not at all", () => {
  const path = join(dir, "whole/checkpoint");
  const fill = (scratch: string) => {
    writeFileSync(join(scratch, "a"), "1");
    expect(existsSync(path)).toBe(false);
    mkdirSync(join(scratch, "sub"));
    writeFileSync(join(scratch, "sub/b"), "2");
  };
  writeDirectoryAtomic(path, fill);
  expect(readText(join(path, "sub/b"))).toBe("2");
  const fails = () =>
    writeDirectoryAtomic(path, (scratch) => {
      writeFileSync(join(scratch, "a"), "3");
      throw new Error("full");
    });
  expect(failure(fails).message).toBe(`${path}: full`);
  expect(readText(join(path, "a"))).toBe("1");
  expect(readdirSync(join(dir, "whole"))).toEqual(["checkpoint"]);
});

test("replacing a folder never loses a file that the new one lacks", () => {
  const path = join(dir, "foreign/adapter");
  const write = (text: string) =>
    writeDirectoryAtomic(path, (scratch) => writeFileSync(join(scratch, "config"), text));
  write("1");
  write("2");
  expect(readText(join(path, "config"))).toBe("2");
  writeFileSync(join(path, "notes.txt"), "mine");
  expect(failure(() => write("3")).message).toBe(
    `${path}: cannot be replaced: it holds other files (notes.txt)`,
  );
  expect(readText(join(path, "config"))).toBe("2");
  expect(readText(join(path, "notes.txt"))).toBe("mine");
  expect(readdirSync(join(dir, "foreign"))).toEqual(["adapter"]);
});

test("a process killed between the two renames of a replacement loses nothing", () => {
  const path = join(dir, "between/adapter");
  const write = (text: string) =>
    writeDirectoryAtomic(path, (scratch) => writeFileSync(join(scratch, "config"), text));
  write("old");
  const aside = join(dir, "between/.adapter.replaced");
  renameSync(path, aside);
  expect(readText(join(currentDirectory(path), "config"))).toBe("old");
  write("new");
  expect(currentDirectory(path)).toBe(path);
  expect(readText(join(path, "config"))).toBe("new");
  expect(readdirSync(join(dir, "between"))).toEqual(["adapter"]);
});

test("system errors have readable messages", () => {
  writeFileAtomic(join(dir, "file"), "");
  expect(failure(() => writeFileAtomic(join(dir, "file/below"), "")).message).toContain(
    "a part of this path is a file, not a folder",
  );
  mkdirSync(join(dir, "folder"));
  expect(failure(() => writeFileAtomic(join(dir, "folder"), "")).message).toContain(
    "is a folder, not a file",
  );
});
