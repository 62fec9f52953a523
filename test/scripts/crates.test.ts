import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import tokenizers from "../../node_modules/tokenizers/package.json" with { type: "json" };
import { cratesOfTokenizers } from "../../scripts/release/crates.ts";

const library = join(
  import.meta.dir,
  "../../node_modules/tokenizers/tokenizers.linux-x64-gnu.node",
);
const crates = cratesOfTokenizers(tokenizers.version);

test("the list names every crate that the tokenizers' library names, of the same version", () => {
  const strings = readFileSync(library, "latin1");
  const sources =
    /(?:\/crates\.io-|index\.crates\.io-[0-9a-f]+\/|\/rust\/deps\/)([\w-]+-\d+\.\d+[\w.+-]*)\//g;
  const found = new Set([...strings.matchAll(sources)].map(([, crate]) => crate));
  const listed = crates.map(({ name, version }) => `${name.split("/")[1]}-${version}`);
  expect(found.size).toBeGreaterThan(30);
  expect([...found].filter((crate) => !listed.includes(crate ?? ""))).toEqual([]);
  const [, commit] = /\/rustc\/([0-9a-f]{40})\//.exec(strings) ?? [];
  expect(crates.find(({ name }) => name.endsWith("/rust-std"))?.hash).toBe(`git:${commit}`);
});

test("every crate has a licence, its text and a hash", () => {
  for (const { licence, licenceText, hash } of crates) {
    expect(licence).toMatch(/^[\w.() -]+$/);
    expect(licenceText).toMatch(/copyright|Permission is hereby granted/i);
    expect(hash).toMatch(/^(sha256:[0-9a-f]{64}|git:[0-9a-f]{40})$/);
  }
});

test("another version of the library needs another list", () => {
  expect(() => cratesOfTokenizers("0.0.1")).toThrow("lists 0.23.2, not 0.0.1");
});
