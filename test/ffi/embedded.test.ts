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
import { errors } from "../../core/errors.ts";
import { unpack } from "../../ffi/embedded.ts";
import { mappedLibraries } from "../../ffi/libc.ts";
import { openLibrary } from "../../ffi/load.ts";

const root = mkdtempSync(join(tmpdir(), "adalora-embedded-"));
afterAll(() => rmSync(root, { recursive: true }));

const plain = Buffer.from("a small library");
const large = Buffer.from("a large library ".repeat(5000));
writeFileSync(join(root, "plain"), plain);
writeFileSync(join(root, "large"), Bun.zstdCompressSync(large));
const small = { name: "libsmall.so", path: join(root, "plain"), bytes: plain.length };
const files = [
  { ...small, compressed: false },
  { name: "sub/liblarge.so", path: join(root, "large"), bytes: large.length, compressed: true },
];
const contents = (paths: readonly string[]) => [
  readFileSync(paths[0] ?? "").equals(plain),
  readFileSync(paths[1] ?? "").equals(large),
];
const unpackBoth = (env: NodeJS.ProcessEnv) => files.map((file) => unpack("1.2.3-abc", file, env));
const cache = (name: string) => join(root, name, "adalora/1.2.3-abc");

test("files are unpacked into the user's cache, under the executable's name for its contents", () => {
  const paths = unpackBoth({ HOME: join(root, "home") });
  const folder = cache("home/.cache");
  expect(paths).toEqual(files.map(({ name }) => join(folder, name)));
  expect(contents(paths)).toEqual([true, true]);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(readdirSync(folder).toSorted()).toEqual(["libsmall.so", "sub"]);
});

test("whole files are left alone, cut ones replaced", () => {
  const env = { XDG_CACHE_HOME: join(root, "again") };
  const paths = unpackBoth(env);
  const [first = "", second = ""] = paths;
  utimesSync(first, new Date(0), new Date(0));
  truncateSync(second, 100);
  expect(contents(unpackBoth(env))).toEqual([true, true]);
  expect(statSync(first).mtimeMs).toBe(0);
});

/** Unusable: a file instead of a folder, also for root. */
const NO_FOLDER = { XDG_CACHE_HOME: join(root, "plain"), HOME: join(root, "plain") };
const IN_MEMORY = /^\/proc\/self\/fd\/\d+$/;

test("a folder that others can write to is not used: code would be loaded from it", () => {
  const folder = cache("open");
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o777);
  const paths = unpackBoth({ ...NO_FOLDER, XDG_CACHE_HOME: join(root, "open") });
  for (const path of paths) expect(path).toMatch(IN_MEMORY);
  expect(contents(paths)).toEqual([true, true]);
  expect(readdirSync(folder)).toEqual([]);
});

test("XDG_CACHE_HOME comes first, then HOME, then memory", () => {
  const [at] = unpackBoth({ ...NO_FOLDER, HOME: join(root, "second") });
  expect(at).toBe(join(cache("second/.cache"), "libsmall.so"));
  const paths = unpackBoth(NO_FOLDER);
  for (const path of paths) expect(path).toMatch(IN_MEMORY);
  expect(contents(paths)).toEqual([true, true]);
  expect(new Set(paths).size).toBe(2);
});

test("a library in memory can be opened and called", () => {
  const libm = mappedLibraries().find((path) => /\/libm[.-]/.test(path)) ?? "";
  const file = { name: "libm.so", path: libm, bytes: statSync(libm).size, compressed: false };
  const path = unpack("1", file, NO_FOLDER);
  const { symbols } = openLibrary("libm", [path], { cos: { args: ["f64"], returns: "f64" } }, "");
  expect(symbols.cos(0)).toBe(1);
});

test("the message names each place and what it lacks", () => {
  const noMemory = () => {
    throw errors.machine("memory: there is none", "");
  };
  const attempt = () => unpack("1", { ...small, compressed: false }, NO_FOLDER, noMemory);
  expect(attempt).toThrow(
    `no place to unpack libsmall.so to:
${join(root, "plain/adalora/1")}: a part of this path is a file, not a folder
${join(root, "plain/.cache/adalora/1")}: a part of this path is a file, not a folder
memory: there is none`,
  );
});
