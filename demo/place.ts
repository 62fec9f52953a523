import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../core/io/cache-folder.ts";
import { writeDirectoryAtomic, writeFileAtomic } from "../core/io/atomic.ts";
import weights from "./model/model.safetensors" with { type: "file" };
import { demoModelConfig } from "./model-config.ts";
import { drawSplits, toTsv } from "./splits.ts";
import { drawStatement } from "./statements.ts";
import { demoTokenizerJson } from "./tokenizer.ts";

/** Seed and sizes of the task's data. */
const data = { seed: 3, sizes: { train: 8000, validation: 1000 } };

/** The folder of the demo's pretrained model, which is part of the program, in the user's cache. */
export function demoModel(): string {
  return cachedFolder("model", [
    ["config.json", JSON.stringify(demoModelConfig(), null, 2)],
    ["tokenizer.json", JSON.stringify(demoTokenizerJson())],
    ["model.safetensors", readFileSync(weights)],
  ]);
}

/** The folder of the demo's data, generated if needed: train.tsv and validation.tsv. */
export function demoData(): string {
  const splits = Object.entries(drawSplits(drawStatement, data));
  return cachedFolder(
    "data",
    splits.map(([name, rows]) => [`${name}.tsv`, toTsv(rows)]),
  );
}

/** Writes files to a folder of the cache that is named after their hash, unless it exists. */
function cachedFolder(
  what: string,
  files: readonly (readonly [string, string | Uint8Array])[],
): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const [, content] of files) hash.update(content);
  const folder = join(cacheFolder(), "demo", `${what}-${hash.digest("hex").slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  writeDirectoryAtomic(folder, (scratch) => {
    for (const [name, content] of files) writeFileAtomic(join(scratch, name), content);
  });
  return folder;
}
