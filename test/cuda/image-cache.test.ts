import { afterAll, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageCache } from "../../ffi/cuda/image-cache.ts";

const space = mkdtempSync(join(tmpdir(), "adalora-image-cache-"));
afterAll(() => rmSync(space, { recursive: true, force: true }));

const MIB = 2 ** 20;
const DAY_MS = 24 * 3600 * 1000;
const NOW = Date.now();

/** The name of an image: its family and a key that ends in a digit. */
const nameOf = (family: string, digit = 0) => `${family}-${"0".repeat(31)}${digit}`;
const image = (...bytes: number[]) => Uint8Array.from(bytes);

/** A folder with files of these ages in days, sparse ones of a size. */
function folderOf(name: string, files: Readonly<Record<string, number>>, bytes = 1): string {
  const folder = join(space, name);
  mkdirSync(folder);
  for (const [file, days] of Object.entries(files)) {
    writeFileSync(join(folder, file), "");
    truncateSync(join(folder, file), bytes);
    age(join(folder, file), days);
  }
  return folder;
}

function age(file: string, days: number) {
  const seconds = (NOW - days * DAY_MS) / 1000;
  utimesSync(file, seconds, seconds);
}

const left = (folder: string) => readdirSync(folder).toSorted();

test("an image is read as it was kept, and only under its name and whole", () => {
  const folder = join(space, "kept");
  const [a, b, c] = [nameOf("rows"), nameOf("rows", 1), nameOf("columns-bf16")];
  imageCache(folder).keep(a, image(1, 2, 3));
  const cache = imageCache(folder);
  expect(cache.read(a)).toEqual(image(1, 2, 3));
  copyFileSync(join(folder, a), join(folder, b)); // of another architecture, for instance
  copyFileSync(join(folder, a), join(folder, c));
  truncateSync(join(folder, c), 34);
  writeFileSync(join(folder, nameOf("rows", 2)), "");
  for (const name of [b, c, nameOf("rows", 2), nameOf("rows", 3)])
    expect([name, cache.read(name)]).toEqual([name, undefined]);
});

test("images that no start has used for 30 days are removed, and what killed ones left", () => {
  const [old, recent, used] = [nameOf("old"), nameOf("recent"), nameOf("used")];
  const scratch = (pid: number) => `.${nameOf("rows")}.tmp-${pid}`;
  const files = { [old]: 31, [recent]: 29, [scratch(1)]: 2, [scratch(2)]: 0.5 };
  const folder = folderOf("unused", { ...files, "notes.txt": 99, "rows-1": 99 });
  imageCache(folder).keep(used, image(1));
  age(join(folder, used), 99);
  const cache = imageCache(folder, NOW);
  cache.read(used);
  expect(statSync(join(folder, used)).mtimeMs).toBeCloseTo(NOW, -1);
  cache.prune();
  const expected = [recent, used, scratch(2), "notes.txt", "rows-1"];
  expect(left(folder)).toEqual(expected.toSorted());
});

test("an image that another start used today keeps its time, and stays", () => {
  const name = nameOf("rows");
  const folder = join(space, "today");
  imageCache(folder).keep(name, image(1));
  age(join(folder, name), 0.5);
  const { mtimeMs } = statSync(join(folder, name));
  imageCache(folder, NOW).read(name);
  expect(statSync(join(folder, name)).mtimeMs).toBe(mtimeMs);
  imageCache(folder, NOW).prune();
  expect(left(folder)).toEqual([name]);
});

test("of more than 64 MiB, those that were used least recently are removed", () => {
  const names = [3, 2, 1.5, 0.5].map((days, i) => [nameOf("rows", i), days] as const);
  const folder = folderOf("large", Object.fromEntries(names), 30 * MIB);
  const own = nameOf("columns");
  const cache = imageCache(folder, NOW);
  cache.keep(own, new Uint8Array(MIB));
  cache.prune();
  const [, , recent, today] = names.map(([name]) => name);
  expect(left(folder)).toEqual([own, recent!, today!].toSorted());
  imageCache(folder, NOW).keep(own, new Uint8Array(5 * MIB));
  imageCache(folder, NOW).prune(); // now 65 MiB
  expect(left(folder)).toEqual([own, today!].toSorted());
});

test("without a folder nothing is kept, and one that can't be changed stays as it is", () => {
  const none = imageCache(undefined);
  none.keep(nameOf("rows"), image(1));
  none.prune();
  expect(none.read(nameOf("rows"))).toBeUndefined();
  const blocked = folderOf("blocked", {});
  mkdirSync(join(blocked, nameOf("rows"), "not empty"), { recursive: true });
  age(join(blocked, nameOf("rows")), 99);
  imageCache(blocked, NOW).prune();
  expect(left(blocked)).toEqual([nameOf("rows")]);
  imageCache(join(blocked, "absent"), NOW).prune();
});
