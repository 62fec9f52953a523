import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unpack } from "../../ffi/embedded.ts";

const root = mkdtempSync(join(tmpdir(), "adalora-embedded-"));
afterAll(() => rmSync(root, { recursive: true }));

const plain = Buffer.from("a small library");
const large = Buffer.from("a large library ".repeat(5000));
writeFileSync(join(root, "plain"), plain);
writeFileSync(join(root, "large"), Bun.zstdCompressSync(large));
const embedded = {
  id: "1.2.3-abc",
  files: [
    { name: "libsmall.so", path: join(root, "plain"), bytes: plain.length, compressed: false },
    { name: "sub/liblarge.so", path: join(root, "large"), bytes: large.length, compressed: true },
  ],
};
const contents = (folder: string) => [
  readFileSync(join(folder, "libsmall.so")).equals(plain),
  readFileSync(join(folder, "sub/liblarge.so")).equals(large),
];

test("files are unpacked into the user's cache, under the executable's name for its contents", () => {
  const folder = unpack(embedded, { HOME: join(root, "home") });
  expect(folder).toBe(join(root, "home/.cache/adalora/1.2.3-abc"));
  expect(contents(folder)).toEqual([true, true]);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(readdirSync(folder).toSorted()).toEqual(["libsmall.so", "sub"]);
});

test("whole files are left alone, cut ones replaced", () => {
  const folder = unpack(embedded, { XDG_CACHE_HOME: join(root, "again") });
  utimesSync(join(folder, "libsmall.so"), new Date(0), new Date(0));
  truncateSync(join(folder, "sub/liblarge.so"), 100);
  unpack(embedded, { XDG_CACHE_HOME: join(root, "again") });
  expect(contents(folder)).toEqual([true, true]);
  expect(statSync(join(folder, "libsmall.so")).mtimeMs).toBe(0);
});

test("a folder that others can write to is refused: code would be loaded from it", () => {
  const folder = join(root, "open/adalora/1.2.3-abc");
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o777);
  expect(() => unpack(embedded, { XDG_CACHE_HOME: join(root, "open") })).toThrow(
    `${folder}: belongs to another user, or others can write to it`,
  );
  expect(readdirSync(folder)).toEqual([]);
});

test("without a home the message says what to set", () => {
  expect(() => unpack(embedded, {})).toThrow("HOME is not set");
});
