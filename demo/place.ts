import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AdaloraError, errors } from "../core/errors.ts";
import { writeDirectoryAtomic, writeFileAtomic } from "../core/io/atomic.ts";
import { cacheFolder } from "../core/io/cache-folder.ts";
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

/**
 * Writes files to a folder of the cache that is named after their hash, unless it exists; without a
 * writable cache, to a temporary folder that is removed at exit.
 */
function cachedFolder(
  what: string,
  files: readonly (readonly [string, string | Uint8Array])[],
): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const [, content] of files) hash.update(content);
  const name = `${what}-${hash.digest("hex").slice(0, 16)}`;
  for (const parent of places()) {
    const folder = join(parent, name);
    if (existsSync(folder)) return folder;
    try {
      writeDirectoryAtomic(folder, (scratch) => {
        for (const [file, content] of files) writeFileAtomic(join(scratch, file), content);
      });
      return folder;
    } catch (error) {
      if (!(error instanceof AdaloraError)) throw error;
    }
  }
  throw errors.machine(
    "no folder for the demo's model and data: neither the cache nor a temporary folder is writable",
    "set XDG_CACHE_HOME or TMPDIR to a writable folder",
  );
}

function* places(): Generator<string> {
  const cache = cacheFolder();
  if (cache !== undefined) yield join(cache, "demo");
  temporary ??= temporaryFolder();
  if (temporary !== undefined) yield temporary;
}

let temporary: string | undefined;

/** A new folder that is removed at exit; undefined where none can be created. */
function temporaryFolder(): string | undefined {
  for (const parent of [tmpdir(), "/dev/shm"]) {
    try {
      const folder = mkdtempSync(join(parent, "adalora-demo-"));
      process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
      return folder;
    } catch {
      // not writable: try the next
    }
  }
  return undefined;
}
