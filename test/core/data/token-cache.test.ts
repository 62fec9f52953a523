import { cacheFolder } from "../../../core/io/cache-folder.ts";
import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  cachedTokens,
  packTokens,
  tokenCacheKey,
  tokensOf,
} from "../../../core/data/token-cache.ts";
import { fileOf, folderOf, removeFolders } from "./temp-files.ts";

afterAll(removeFolders);

const rows = [
  { ids: Int32Array.of(1, 279, 128_000, 2), typeIds: Int32Array.of(0, 0, 1, 1) },
  { ids: Int32Array.of(), typeIds: Int32Array.of() },
  { ids: Int32Array.of(1, 2), typeIds: Int32Array.of(0, 0) },
];
const key = tokenCacheKey({
  inputs: [{ text: "a", pair: "b" }],
  tokenizer: "t",
  options: { maxLength: 8 },
});

const columns = [Int32Array.of(5, -1, 7), Int32Array.of()];

function build() {
  let built = 0;
  const make = async () => {
    built++;
    return { ...packTokens(rows), columns };
  };
  return { make, times: () => built };
}

describe("cached tokens", () => {
  test("are read back unchanged, without being rebuilt", async () => {
    const folder = folderOf({});
    const { make, times } = build();
    expect((await cachedTokens(key, make, folder)).fromCache).toBe(false);
    const { tokens, fromCache } = await cachedTokens(key, make, folder);
    expect(fromCache).toBe(true);
    expect(times()).toBe(1);
    rows.forEach((row, i) => expect(tokensOf(tokens, i)).toEqual(row));
    expect(tokens.columns).toEqual(columns);
    expect(() => tokensOf(tokens, 3)).toThrow("input 3 of 3");
  });

  test("a damaged file is rebuilt, wherever the damage is", async () => {
    const folder = folderOf({});
    const { make, times } = build();
    await cachedTokens(key, make, folder);
    const path = join(folder, "tokens", `${key}.bin`);
    const whole = readFileSync(path);
    let made = 1;
    for (let at = 0; at < whole.length; at++) {
      const damaged = (bits: number) => whole.map((byte, i) => (i === at ? byte ^ bits : byte));
      for (const content of [
        damaged(0x80),
        damaged(0x03),
        whole.subarray(0, at),
        Buffer.concat([whole, whole.subarray(0, at + 1)]),
      ]) {
        writeFileSync(path, content);
        expect((await cachedTokens(key, make, folder)).fromCache).toBe(false);
        expect(times()).toBe(++made);
      }
    }
    expect(readFileSync(path).equals(whole)).toBe(true);
    expect(readdirSync(join(folder, "tokens"))).toEqual([`${key}.bin`]);
  });

  test("an unwritable folder costs a warning, not the run", async () => {
    const { make } = build();
    const { tokens, warning } = await cachedTokens(key, make, fileOf("file", ""));
    expect(tokensOf(tokens, 2).ids).toEqual(Int32Array.of(1, 2));
    expect(warning).toStartWith("tokens are not cached: ");
  });

  test("without a cache the tokens are built, with a warning", async () => {
    const { make, times } = build();
    const { tokens, warning } = await cachedTokens(key, make, null);
    expect(tokensOf(tokens, 2).ids).toEqual(Int32Array.of(1, 2));
    expect(warning).toBe("tokens are not cached: HOME is not set");
    expect(times()).toBe(1);
  });
});

test("keys differ by texts, pairs, tokenizer and options", () => {
  const base = {
    inputs: [{ text: "ab" }, { text: "c" }],
    tokenizer: "t",
    options: { maxLength: 8, cut: "longest" },
  };
  const keys = [
    base,
    { ...base, inputs: [{ text: "a" }, { text: "bc" }] },
    { ...base, inputs: [{ text: "ab", pair: "c" }] },
    { ...base, inputs: [{ text: "ab", pair: "" }, { text: "c" }] },
    { ...base, tokenizer: "u" },
    { ...base, options: { maxLength: 9, cut: "longest" } },
  ].map(tokenCacheKey);
  expect(new Set(keys).size).toBe(keys.length);
  expect(tokenCacheKey({ ...base, options: { cut: "longest", maxLength: 8 } })).toBe(
    tokenCacheKey(base),
  );
});

test("the cache folder follows the environment", () => {
  expect(cacheFolder({ XDG_CACHE_HOME: "/c", HOME: "/h" })).toBe("/c/adalora");
  expect(cacheFolder({ XDG_CACHE_HOME: "c", HOME: "/h" })).toBe("/h/.cache/adalora");
  expect(cacheFolder({ HOME: "/h" })).toBe("/h/.cache/adalora");
});
