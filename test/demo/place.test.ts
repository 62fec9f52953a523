import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DATA_HASH, drawData, hashOf } from "../../demo/place.ts";

const PRINT_FOLDER = `import { demoModel } from "${import.meta.dir}/../../demo/place.ts";
  import { readdirSync } from "node:fs";
  const folder = demoModel();
  console.log(JSON.stringify({ folder, files: readdirSync(folder).toSorted() }));`;

function demoModelIn(env: Record<string, string>) {
  const run = Bun.spawnSync([process.execPath, "-e", PRINT_FOLDER], { env });
  return { text: run.stdout.toString(), err: run.stderr.toString() };
}

const files = ["config.json", "model.safetensors", "tokenizer.json"];

test("the demo's model is unpacked to the cache, or to a temporary folder that goes at exit", () => {
  const root = mkdtempSync(join(tmpdir(), "adalora-place-"));
  const kept = JSON.parse(demoModelIn({ HOME: root }).text);
  expect(kept.files).toEqual(files);
  expect(kept.folder).toStartWith(join(root, ".cache/adalora/demo/"));

  // Not a folder: not even root can create one below it.
  const temporary = JSON.parse(demoModelIn({ HOME: "/dev/null", TMPDIR: root }).text);
  expect(temporary.files).toEqual(files);
  expect(temporary.folder).toStartWith(join(root, "adalora-demo-"));
  expect(existsSync(temporary.folder)).toBe(false);
  expect(readdirSync(root).filter((name) => name.startsWith("adalora-"))).toEqual([]);
  rmSync(root, { recursive: true });
});

test("the demo's data has the hash that names its folder", () => {
  expect(hashOf(drawData())).toBe(DATA_HASH);
});
